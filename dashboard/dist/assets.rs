&[
    ("grammars-cP3Esshx.js", include_bytes!("assets/grammars-cP3Esshx.js").as_slice()),
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-CNdDaXgC.css", include_bytes!("assets/index-CNdDaXgC.css").as_slice()),
    ("index-vpuCfoiD.js", include_bytes!("assets/index-vpuCfoiD.js").as_slice()),
]
