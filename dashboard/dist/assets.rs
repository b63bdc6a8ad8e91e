&[
    ("grammars-cP3Esshx.js", include_bytes!("assets/grammars-cP3Esshx.js").as_slice()),
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-B_2i8s7B.js", include_bytes!("assets/index-B_2i8s7B.js").as_slice()),
    ("index-C0nFhpin.css", include_bytes!("assets/index-C0nFhpin.css").as_slice()),
]
