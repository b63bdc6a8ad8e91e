&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-BNRzWD1d.js", include_bytes!("assets/index-BNRzWD1d.js").as_slice()),
    ("index-D00mIdLn.css", include_bytes!("assets/index-D00mIdLn.css").as_slice()),
]
