&[
    ("grammars-cP3Esshx.js", include_bytes!("assets/grammars-cP3Esshx.js").as_slice()),
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-1zNMsMg1.js", include_bytes!("assets/index-1zNMsMg1.js").as_slice()),
    ("index-CitgxFvJ.css", include_bytes!("assets/index-CitgxFvJ.css").as_slice()),
]
