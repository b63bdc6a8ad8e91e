&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-BqvxYwdq.css", include_bytes!("assets/index-BqvxYwdq.css").as_slice()),
    ("index-DwUCPej1.js", include_bytes!("assets/index-DwUCPej1.js").as_slice()),
]
