use bytes::Bytes;
use tokio::sync::mpsc;

use super::{ArchiveEntry, ArchiveError, EntryKind, MAX_EXTENSION_BYTES, WorkspaceArchive};

/// An archive that arrives in pieces of this size.
fn archive(bytes: &[u8], piece: usize) -> WorkspaceArchive {
    let pieces: Vec<Bytes> = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
    let (send, receive) = mpsc::channel(pieces.len().max(1));
    for piece in pieces {
        send.try_send(Ok(piece)).unwrap();
    }
    WorkspaceArchive::new(receive)
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o104_755);
    header.set_mtime(77);
    header.set_size(size);
    header
}

async fn all(archive: &mut WorkspaceArchive) -> Result<Vec<(ArchiveEntry, Vec<u8>)>, ArchiveError> {
    let mut all = Vec::new();
    while let Some(entry) = archive.next().await? {
        let mut content = Vec::new();
        while let Some(piece) = archive.piece().await? {
            content.extend_from_slice(&piece);
        }
        all.push((entry, content));
    }
    Ok(all)
}

fn sample() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let long = format!("w/{}", "n".repeat(255));
    builder.append_data(&mut header(tar::EntryType::Directory, 0), "w/", std::io::empty()).unwrap();
    builder.append_data(&mut header(tar::EntryType::Regular, 5), &long, b"hello".as_slice()).unwrap();
    let target = "t/".repeat(120);
    builder.append_link(&mut header(tar::EntryType::Symlink, 0), "w/link", &target).unwrap();
    builder.append_link(&mut header(tar::EntryType::Link, 0), "w/hard", "w/x").unwrap();
    builder.append_data(&mut header(tar::EntryType::Fifo, 0), "w/fifo", std::io::empty()).unwrap();
    let pax = [("path", b"w/\xff\nodd".as_slice()), ("mtime", b"-3.5"), ("SCHILY.xattr.user.x", b"a=b\nc")];
    builder.append_pax_extensions(pax).unwrap();
    builder.append_data(&mut header(tar::EntryType::Regular, 512), "w/short", [7; 512].as_slice()).unwrap();
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn an_archive_is_read_however_it_is_cut() {
    let bytes = sample();
    let whole = all(&mut archive(&bytes, usize::MAX)).await.unwrap();
    let told: Vec<_> = whole.iter().map(|(entry, content)| (entry.kind, entry.size, content.len())).collect();
    let kinds = [EntryKind::Directory, EntryKind::File, EntryKind::Symlink, EntryKind::HardLink, EntryKind::Other];
    let sizes = [0, 5, 0, 0, 0, 512];
    let expected: Vec<_> = kinds
        .into_iter()
        .chain([EntryKind::File])
        .zip(sizes)
        .map(|(kind, size)| (kind, size, usize::try_from(size).unwrap()))
        .collect();
    assert_eq!(told, expected);
    assert_eq!(whole[1].0.path.len(), 257);
    assert_eq!((whole[1].1.as_slice(), whole[1].0.mode, whole[1].0.modified), (b"hello".as_slice(), 0o4755, 77));
    assert_eq!(whole[2].0.target.as_ref().unwrap().len(), 240);
    assert_eq!((whole[5].0.path.as_slice(), whole[5].0.modified), (b"w/\xff\nodd".as_slice(), -3));
    for piece in [1, 3, 511, 512, 513] {
        assert_eq!(all(&mut archive(&bytes, piece)).await.unwrap(), whole, "{piece}");
    }
    // Unread contents are skipped.
    let mut skipped = archive(&bytes, 100);
    let mut entries = Vec::new();
    while let Some(entry) = skipped.next().await.unwrap() {
        entries.push(entry);
    }
    assert_eq!(entries, whole.into_iter().map(|(entry, _)| entry).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_no_archive_or_cut_off_is_an_error_and_bounded() {
    let bytes = sample();
    for length in (1..bytes.len() - 1024).filter(|length| length % 512 != 0) {
        assert!(all(&mut archive(&bytes[..length], 512)).await.is_err(), "{length}");
    }
    let mut broken = bytes.clone();
    broken[0] ^= 1;
    assert!(matches!(all(&mut archive(&broken, 512)).await, Err(ArchiveError::Malformed(_))));

    let mut long = header(tar::EntryType::GNULongName, MAX_EXTENSION_BYTES + 1);
    long.set_cksum();
    assert!(matches!(archive(long.as_bytes(), 512).next().await, Err(ArchiveError::Malformed(_))));
    let mut huge = header(tar::EntryType::Regular, u64::MAX >> 1);
    huge.set_cksum();
    let mut huge = archive(huge.as_bytes(), 512);
    assert_eq!(huge.next().await.unwrap().unwrap().size, u64::MAX >> 1);
    assert!(matches!(huge.piece().await, Err(ArchiveError::Cut)));
}
