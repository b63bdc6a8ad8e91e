&[
    ("icon-D46jBwvW.svg", include_bytes!("assets/icon-D46jBwvW.svg").as_slice()),
    ("index-DTbWoMJm.js", include_bytes!("assets/index-DTbWoMJm.js").as_slice()),
    ("index-DloLGXeu.css", include_bytes!("assets/index-DloLGXeu.css").as_slice()),
]
