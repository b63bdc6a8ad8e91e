&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-Bkoda4r4.js", include_bytes!("assets/index-Bkoda4r4.js").as_slice()),
    ("index-D00mIdLn.css", include_bytes!("assets/index-D00mIdLn.css").as_slice()),
]
