&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-Bg8dgeZL.js", include_bytes!("assets/index-Bg8dgeZL.js").as_slice()),
    ("index-U9RXqbMZ.css", include_bytes!("assets/index-U9RXqbMZ.css").as_slice()),
]
