&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-U9RXqbMZ.css", include_bytes!("assets/index-U9RXqbMZ.css").as_slice()),
    ("index-YqddfTZ7.js", include_bytes!("assets/index-YqddfTZ7.js").as_slice()),
]
