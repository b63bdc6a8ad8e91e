&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-B2cunU2A.css", include_bytes!("assets/index-B2cunU2A.css").as_slice()),
    ("index-BnhE3jq4.js", include_bytes!("assets/index-BnhE3jq4.js").as_slice()),
]
