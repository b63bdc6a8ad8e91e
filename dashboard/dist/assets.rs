&[
    ("grammars-cP3Esshx.js", include_bytes!("assets/grammars-cP3Esshx.js").as_slice()),
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-ChMZeJ-Z.css", include_bytes!("assets/index-ChMZeJ-Z.css").as_slice()),
    ("index-CwFrR6I4.js", include_bytes!("assets/index-CwFrR6I4.js").as_slice()),
]
