&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-NjrfcFR7.css", include_bytes!("assets/index-NjrfcFR7.css").as_slice()),
    ("index-rbLCSGMz.js", include_bytes!("assets/index-rbLCSGMz.js").as_slice()),
]
