&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-Cn0g7rCd.js", include_bytes!("assets/index-Cn0g7rCd.js").as_slice()),
    ("index-NjrfcFR7.css", include_bytes!("assets/index-NjrfcFR7.css").as_slice()),
]
