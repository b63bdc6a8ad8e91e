&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-Cc9XIVbF.js", include_bytes!("assets/index-Cc9XIVbF.js").as_slice()),
    ("index-kam_JCG4.css", include_bytes!("assets/index-kam_JCG4.css").as_slice()),
]
