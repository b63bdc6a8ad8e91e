use std::fmt;

/// The reason why a call to the engine failed. Each variant requires a different reaction of the caller. `reason` is
/// the runtime's own message as text: errors arrive over a wire, and a cloneable error can go to every waiting caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine does not answer: it is not running, or not at the address in `DOCKER_HOST`. A later call may succeed.
    #[error("could not {operation}: the container engine at {address} is unreachable: {reason}")]
    Unreachable { operation: Operation, address: String, reason: String },

    /// The engine's address is invalid. No request was sent.
    #[error("could not {operation}: {reason}")]
    Misconfigured { operation: Operation, reason: String },

    /// The container, volume, image or path of the call does not exist.
    #[error("could not {operation}: {name} was not found: {reason}")]
    NotFound { operation: Operation, name: String, reason: String },

    /// The name is taken, or the object is in use.
    #[error("could not {operation} {name}: {reason}")]
    Conflict { operation: Operation, name: String, reason: String },

    /// The engine's disk is full.
    #[error("could not {operation} {name}: no space is left on the engine's disk: {reason}")]
    NoSpace { operation: Operation, name: String, reason: String },

    /// The image of a new container does not exist.
    #[error("the image {image} does not exist")]
    ImageMissing { image: String },

    /// A directory or file of this machine that a container needs does not exist on the engine's machine.
    #[error(
        "the container engine at {address} does not have {path}, in which a sandbox finds its sockets: the engine runs on \
         another machine, in a virtual machine or in another container. Run Claude Runner where the engine runs, or mount \
         the directory (RUNTIME_DIR) at the same path on both sides"
    )]
    PathNotShared { address: String, path: String },

    /// The engine did not answer within the call's time limit. It may have performed the operation.
    #[error("could not {operation} {name}: no answer from the container engine within {seconds} s")]
    Timeout { operation: Operation, name: String, seconds: u64 },

    /// A step of an image build failed.
    #[error("could not build the image {tag}: {reason}")]
    BuildFailed { tag: String, reason: String },

    /// Any other error. Repeating the call unchanged will not help.
    #[error("could not {operation} {name}: {reason}")]
    Other { operation: Operation, name: String, reason: String },
}

/// The methods of [`Engine`](crate::Engine), for errors and for the faults of [`FakeEngine`](crate::FakeEngine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Info,
    CreateVolume,
    RemoveVolume,
    ListVolumes,
    CreateContainer,
    Start,
    RemoveContainer,
    InspectContainer,
    WaitContainer,
    ListContainers,
    Upload,
    Download,
    Usage,
    Logs,
    Image,
    ImageHistory,
    TagImage,
    ImageChanges,
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
            Self::RemoveContainer => "remove container",
            Self::InspectContainer => "inspect container",
            Self::WaitContainer => "wait for container",
            Self::ListContainers => "list containers",
            Self::Upload => "copy files into container",
            Self::Download => "copy files out of container",
            Self::Usage => "measure container",
            Self::Logs => "read the log of container",
            Self::Image => "look for image",
            Self::ImageHistory => "read the history of image",
            Self::TagImage => "name image",
            Self::ImageChanges => "follow the images",
            Self::BuildImage => "build image",
            Self::RemoveImage => "remove image",
            Self::BridgeGateway => "look for the bridge network",
        })
    }
}
