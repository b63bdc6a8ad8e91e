use std::fmt;

/// Why a call to the engine failed. Each variant asks for another reaction of the caller. The runtime's own words are in
/// `reason`, as text: they come over a wire, and an error that can be cloned can be told to everyone who waits for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers: the engine is not running, or not where `DOCKER_HOST` says. Worth trying again.
    #[error("could not {operation}: the container engine at {address} cannot be reached: {reason}")]
    Unreachable { operation: Operation, address: String, reason: String },

    /// The container, volume, image or path that the call was about is not there.
    #[error("could not {operation}: {name} was not found: {reason}")]
    NotFound { operation: Operation, name: String, reason: String },

    /// The name is taken, or the thing is in use.
    #[error("could not {operation} {name}: {reason}")]
    Conflict { operation: Operation, name: String, reason: String },

    /// The engine's disk is full.
    #[error("could not {operation} {name}: no space is left on the engine's disk: {reason}")]
    NoSpace { operation: Operation, name: String, reason: String },

    /// The image of a container to be made is not there.
    #[error("the image {image} is not there")]
    ImageMissing { image: String },

    /// The engine did not answer within the bound of the call. It may have done what was asked.
    #[error("could not {operation} {name}: no answer from the container engine within {seconds} s")]
    Timeout { operation: Operation, name: String, seconds: u64 },

    /// A step of an image build failed.
    #[error("could not build the image {tag}: {reason}")]
    BuildFailed { tag: String, reason: String },

    /// Everything else; trying again without a change will not help.
    #[error("could not {operation} {name}: {reason}")]
    Other { operation: Operation, name: String, reason: String },
}

/// The calls of [`Engine`](crate::Engine), by name: for errors, and for the faults of [`FakeEngine`](crate::FakeEngine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Info,
    CreateVolume,
    RemoveVolume,
    ListVolumes,
    CreateContainer,
    Start,
    Kill,
    RemoveContainer,
    InspectContainer,
    WaitContainer,
    ListContainers,
    Upload,
    Download,
    PathKind,
    Usage,
    Logs,
    Image,
    BuildImage,
    RemoveImage,
    BridgeGateway,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "ask for the version",
            Self::CreateVolume => "create volume",
            Self::RemoveVolume => "remove volume",
            Self::ListVolumes => "list volumes",
            Self::CreateContainer => "create container",
            Self::Start => "start container",
            Self::Kill => "kill container",
            Self::RemoveContainer => "remove container",
            Self::InspectContainer => "inspect container",
            Self::WaitContainer => "wait for container",
            Self::ListContainers => "list containers",
            Self::Upload => "copy files into container",
            Self::Download => "copy files out of container",
            Self::PathKind => "look into container",
            Self::Usage => "measure container",
            Self::Logs => "read the log of container",
            Self::Image => "look for image",
            Self::BuildImage => "build image",
            Self::RemoveImage => "remove image",
            Self::BridgeGateway => "look for the bridge network",
        })
    }
}
