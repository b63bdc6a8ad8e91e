&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-BO2T00N8.css", include_bytes!("assets/index-BO2T00N8.css").as_slice()),
    ("index-CvZCpRrh.js", include_bytes!("assets/index-CvZCpRrh.js").as_slice()),
]
