//! The example outside world of Claude Runner, for the demo and for tests: the [`acme`] API that the sample agent's tool
//! calls, a [`scripted_model`] that answers the Messages API without a model, and a [`forge`] in GitHub's shape. All can be
//! started in-process on `127.0.0.1:0`, and are the binaries `acme-api`, `scripted-model` and `forge`.

pub mod acme;
pub mod forge;
pub mod program;
pub mod scripted_model;
pub mod serving;
