use sandbox_link::frame::{DownFrame, MAX_PIECE};

/// Splits a line of stdin into pieces that fit into a frame. Other commands stay whole.
pub(super) fn pieces(command: DownFrame) -> Vec<DownFrame> {
    match command {
        DownFrame::Stdin { piece: mut rest, ends_line } => {
            let mut pieces = Vec::with_capacity(rest.len() / MAX_PIECE + 1);
            while rest.len() > MAX_PIECE {
                pieces.push(DownFrame::Stdin { piece: rest.split_to(MAX_PIECE), ends_line: false });
            }
            pieces.push(DownFrame::Stdin { piece: rest, ends_line });
            pieces
        }
        whole @ (DownFrame::Start(_) | DownFrame::CloseStdin | DownFrame::Signal { .. }) => vec![whole],
    }
}
