//! Reads the small blobs and the trees of a pack (gitformat-pack).
//!
//! The pack is the forge's answer to the gateway's own fetch: it is complete, its deltas refer to their base by offset
//! (`ofs-delta`), and it has no large blobs. The agent still chooses the content, so everything is bounded.

use flate2::{Decompress, FlushDecompress, Status};

/// Blobs of at least this size are not in the pack.
pub(super) const SMALL_BLOB_BYTES: usize = 1024;
const MAX_OBJECTS: usize = 300_000;
/// The bound on the unpacked size of all objects together.
const MAX_UNPACKED_BYTES: usize = 256 << 20;
/// The bound on the size of the objects that are kept as bases of deltas. A tree has about 40 bytes for each of its entries.
const MAX_KEPT_BYTES: usize = 64 << 20;
/// The bound on the size of a tree.
const MAX_TREE_BYTES: usize = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PackError {
    #[error("the pack is malformed: {0}")]
    Malformed(&'static str),
    #[error("the push has more objects than the gateway examines")]
    TooMuch,
}

const ENDS_EARLY: PackError = PackError::Malformed("it ends too early");

/// The kind of an object according to its header.
enum Kind {
    Blob,
    Tree,
    /// A commit or a tag.
    Other,
    /// A delta to the object at this offset.
    Delta(usize),
}

/// An object whose content is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Blob,
    Tree,
}

impl ObjectKind {
    /// The size that an object must not reach.
    fn max_bytes(self) -> usize {
        match self {
            ObjectKind::Blob => SMALL_BLOB_BYTES,
            ObjectKind::Tree => MAX_TREE_BYTES,
        }
    }

    fn too_large(self) -> PackError {
        match self {
            ObjectKind::Blob => PackError::Malformed("it has a large blob"),
            ObjectKind::Tree => PackError::TooMuch,
        }
    }
}

/// An object that can be the base of a later delta.
struct Base {
    offset: usize,
    content: Option<(ObjectKind, Box<[u8]>)>,
}

struct PackReader<'a> {
    pack: &'a [u8],
    at: usize,
    inflater: Decompress,
    unpacked_bytes: usize,
    kept_bytes: usize,
    bases: Vec<Base>,
}

/// Calls `on_object` with each blob and each tree of a pack.
pub(super) fn for_each_object(pack: &[u8], mut on_object: impl FnMut(ObjectKind, &[u8])) -> Result<(), PackError> {
    const HEADER: usize = 12;

    let (Some(b"PACK\0\0\0\x02"), Some(&[a, b, c, d])) = (pack.get(..8), pack.get(8..HEADER)) else {
        return Err(PackError::Malformed("it does not begin with PACK and version 2"));
    };
    let objects = u32::from_be_bytes([a, b, c, d]) as usize;
    if objects > MAX_OBJECTS {
        return Err(PackError::TooMuch);
    }
    let inflater = Decompress::new(true);
    let mut reader = PackReader { pack, at: HEADER, inflater, unpacked_bytes: 0, kept_bytes: 0, bases: Vec::new() };
    for _ in 0..objects {
        let offset = reader.at;
        let object = reader.object(offset)?;
        if let Some((kind, content)) = &object {
            reader.kept_bytes += content.len();
            on_object(*kind, content);
        }
        if reader.kept_bytes > MAX_KEPT_BYTES {
            return Err(PackError::TooMuch);
        }
        let content = object.map(|(kind, content)| (kind, content.into_boxed_slice()));
        reader.bases.push(Base { offset, content });
    }
    Ok(())
}

impl PackReader<'_> {
    /// Reads the next object. Returns its content if it is a blob or a tree.
    fn object(&mut self, offset: usize) -> Result<Option<(ObjectKind, Vec<u8>)>, PackError> {
        let (kind, bytes) = self.header(offset)?;
        let kind = match kind {
            Kind::Other => return self.inflate(bytes, None).map(|()| None),
            Kind::Blob => ObjectKind::Blob,
            Kind::Tree => ObjectKind::Tree,
            Kind::Delta(base) => {
                let base = self.bases.binary_search_by_key(&base, |base| base.offset);
                let base = base.map_err(|_| PackError::Malformed("the base of a delta is missing"))?;
                let Some(kind) = self.bases[base].content.as_ref().map(|(kind, _)| *kind) else {
                    return self.inflate(bytes, None).map(|()| None);
                };
                if bytes > MAX_TREE_BYTES {
                    return Err(PackError::TooMuch);
                }
                let delta = self.content(bytes)?;
                let Some((_, content)) = &self.bases[base].content else { return Ok(None) };
                return apply(kind, content, &delta).map(|content| Some((kind, content)));
            }
        };
        if bytes >= kind.max_bytes() {
            return Err(kind.too_large());
        }
        self.content(bytes).map(|content| Some((kind, content)))
    }

    /// The kind of the next object and the size of its data when unpacked.
    fn header(&mut self, offset: usize) -> Result<(Kind, usize), PackError> {
        const OFFSET_DELTA: u8 = 6;

        let mut byte = self.byte()?;
        let kind = (byte >> 4) & 7;
        let (mut bytes, mut shift) = (usize::from(byte & 15), 4);
        while byte & 128 != 0 {
            byte = self.byte()?;
            bytes |= usize::from(byte & 127).checked_shl(shift).ok_or(PackError::TooMuch)?;
            shift += 7;
        }
        let kind = match kind {
            1 | 4 => Kind::Other,
            2 => Kind::Tree,
            3 => Kind::Blob,
            OFFSET_DELTA => Kind::Delta(self.base_of(offset)?),
            _ => return Err(PackError::Malformed("it has an object of another kind")),
        };
        Ok((kind, bytes))
    }

    /// The offset of a delta's base.
    fn base_of(&mut self, offset: usize) -> Result<usize, PackError> {
        let mut byte = self.byte()?;
        let mut distance = usize::from(byte & 127);
        while byte & 128 != 0 {
            byte = self.byte()?;
            distance = (distance + 1).checked_mul(128).ok_or(PackError::TooMuch)? | usize::from(byte & 127);
        }
        offset.checked_sub(distance).ok_or(PackError::Malformed("a delta has its base before the pack"))
    }

    fn byte(&mut self) -> Result<u8, PackError> {
        let byte = self.pack.get(self.at).copied().ok_or(ENDS_EARLY)?;
        self.at += 1;
        Ok(byte)
    }

    fn content(&mut self, bytes: usize) -> Result<Vec<u8>, PackError> {
        let mut content = Vec::new();
        self.inflate(bytes, Some(&mut content))?;
        Ok(content)
    }

    /// Unpacks the data of an object of this size, and keeps it in `content` if that is given.
    fn inflate(&mut self, bytes: usize, mut content: Option<&mut Vec<u8>>) -> Result<(), PackError> {
        let mut buffer = [0; 16 * 1024];
        let mut done = 0;
        self.inflater.reset(true);
        loop {
            let (read, written) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self.inflater.decompress(&self.pack[self.at..], &mut buffer, FlushDecompress::None);
            let status = status.map_err(|_| PackError::Malformed("its compression is damaged"))?;
            let count = |total: u64, before: u64| usize::try_from(total - before).unwrap_or(usize::MAX);
            let (read, written) = (count(self.inflater.total_in(), read), count(self.inflater.total_out(), written));
            self.at += read;
            done += written;
            self.unpacked_bytes += written;
            if self.unpacked_bytes > MAX_UNPACKED_BYTES {
                return Err(PackError::TooMuch);
            }
            if done > bytes {
                return Err(PackError::Malformed("an object is larger than its header says"));
            }
            if let Some(content) = &mut content {
                content.extend_from_slice(&buffer[..written]);
            }
            match status {
                Status::StreamEnd if done == bytes => return Ok(()),
                Status::StreamEnd => return Err(PackError::Malformed("an object is smaller than its header says")),
                Status::Ok | Status::BufError if read == 0 && written == 0 => return Err(ENDS_EARLY),
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

/// Applies a delta: two sizes, then copies from the base and insertions.
fn apply(kind: ObjectKind, base: &[u8], delta: &[u8]) -> Result<Vec<u8>, PackError> {
    let mut bytes = delta.iter().copied();
    let mut next = || bytes.next();
    let size = |next: &mut dyn FnMut() -> Option<u8>| {
        let (mut value, mut shift) = (0_usize, 0);
        loop {
            let byte = next()?;
            value |= usize::from(byte & 127).checked_shl(shift)?;
            shift += 7;
            if byte & 128 == 0 {
                return Some(value);
            }
        }
    };
    let (Some(_), Some(wanted)) = (size(&mut next), size(&mut next)) else { return Err(ENDS_EARLY) };
    if wanted >= kind.max_bytes() {
        return Err(kind.too_large());
    }
    let mut content = Vec::with_capacity(wanted);
    while let Some(command) = next() {
        if command & 128 == 0 {
            for _ in 0..command {
                content.push(next().ok_or(ENDS_EARLY)?);
            }
        } else {
            let mut number = |bits: std::ops::Range<u8>| {
                let mut value = 0;
                for (at, bit) in bits.enumerate() {
                    if command & (1 << bit) != 0 {
                        value |= usize::from(next().ok_or(ENDS_EARLY)?) << (8 * at);
                    }
                }
                Ok::<usize, PackError>(value)
            };
            let (start, length) = (number(0..4)?, number(4..7)?);
            let length = if length == 0 { 0x1_0000 } else { length };
            let part = base.get(start..start.saturating_add(length));
            content.extend_from_slice(part.ok_or(PackError::Malformed("a delta copies from beyond its base"))?);
        }
        if content.len() > wanted {
            return Err(PackError::Malformed("a delta makes too much"));
        }
    }
    if content.len() == wanted { Ok(content) } else { Err(ENDS_EARLY) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tempfile::TempDir;

    use super::{ObjectKind, PackError, for_each_object};

    /// Returns a pack of git itself, with 40 similar files in two commits, so that most objects are deltas.
    fn pack() -> Vec<u8> {
        const SCRIPT: &str = r#"
git init -q . && git config user.name a && git config user.email a@acme.test
words=$(seq 1 60 | tr '\n' ' ')
for n in $(seq 1 40); do echo "$words $n" > file$n; done
git add . && git commit -qm one && echo more >> file7 && git commit -qam two
git repack -adq --depth=10 --window=20 && cat .git/objects/pack/*.pack > pack
"#;
        let directory = TempDir::new().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-ec", SCRIPT]).current_dir(directory.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(shell.status().unwrap().success());
        std::fs::read(directory.path().join("pack")).unwrap()
    }

    fn blobs(pack: &[u8]) -> Result<Vec<String>, PackError> {
        let mut found = Vec::new();
        for_each_object(pack, |kind, content| {
            if kind == ObjectKind::Blob {
                found.push(String::from_utf8(content.to_vec()).unwrap());
            }
        })?;
        Ok(found)
    }

    #[test]
    fn every_tree_is_found_also_those_that_are_deltas() {
        let mut trees = 0;
        for_each_object(&pack(), |kind, content| {
            if kind == ObjectKind::Tree {
                trees += 1;
                assert!(content.starts_with(b"100644 file1\0"), "{content:?}");
            }
        })
        .unwrap();
        assert_eq!(trees, 2);
    }

    #[test]
    fn every_blob_is_found_also_those_that_are_deltas() {
        let pack = pack();
        let mut found = blobs(&pack).unwrap();
        found.sort();
        let words = (1..=60).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        let mut expected: Vec<String> = (1..=40).map(|n| format!("{words}  {n}\n")).collect();
        expected.push(format!("{words}  7\nmore\n"));
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_damaged_pack_is_an_error() {
        let pack = pack();
        assert_eq!(blobs(b"PACK"), Err(PackError::Malformed("it does not begin with PACK and version 2")));
        assert_eq!(blobs(b"PACK\0\0\0\x02\xff\xff\xff\xff"), Err(PackError::TooMuch));
        for length in (12..pack.len() - 21).step_by(7) {
            assert!(blobs(&pack[..length]).is_err(), "{length}");
        }
        for at in (12..pack.len() - 20).step_by(5) {
            let mut damaged = pack.clone();
            damaged[at] ^= 0x55;
            // Some changes result in another valid pack. Reading always ends.
            let _ = blobs(&damaged);
        }
    }
}
