&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-BqvxYwdq.css", include_bytes!("assets/index-BqvxYwdq.css").as_slice()),
    ("index-DnA4zYkC.js", include_bytes!("assets/index-DnA4zYkC.js").as_slice()),
]
