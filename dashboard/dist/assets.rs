&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-Cqet4oLR.js", include_bytes!("assets/index-Cqet4oLR.js").as_slice()),
    ("index-DaDf4-2f.css", include_bytes!("assets/index-DaDf4-2f.css").as_slice()),
]
