&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-DYk5yQ7u.js", include_bytes!("assets/index-DYk5yQ7u.js").as_slice()),
    ("index-NjrfcFR7.css", include_bytes!("assets/index-NjrfcFR7.css").as_slice()),
]
