&[
    ("grammars-cP3Esshx.js", include_bytes!("assets/grammars-cP3Esshx.js").as_slice()),
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-C-n1wMLf.css", include_bytes!("assets/index-C-n1wMLf.css").as_slice()),
    ("index-bJHxq1z9.js", include_bytes!("assets/index-bJHxq1z9.js").as_slice()),
]
