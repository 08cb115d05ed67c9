//! The support bundle: a gzipped tar file that holds no secret and no payload.
//!
//! The gzip stream (RFC 1952) is made of stored blocks: a bundle is small, and nothing has to be compressed.

use std::io::{self, Write};

/// One file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub name: &'static str,
    pub content: Vec<u8>,
}

/// The largest stored block of deflate (RFC 1951, 3.2.4).
const BLOCK_MAX: usize = 65_535;
/// Magic, deflate, no flags, no time, no extra, unix.
const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

/// Writes `items` below a directory `spoolhook-support`.
pub fn write(out: &mut impl Write, items: &[Item], at_s: u64) -> io::Result<()> {
    let mut archive = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.set_size(item.content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(at_s);
        archive.append_data(&mut header, format!("spoolhook-support/{}", item.name), &*item.content)?;
    }
    gzip(out, &archive.into_inner()?)
}

fn gzip(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(&GZIP_HEAD)?;
    let mut blocks = bytes.chunks(BLOCK_MAX).peekable();
    while let Some(block) = blocks.next() {
        let len = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.write_all(&[u8::from(blocks.peek().is_none())])?;
        out.write_all(&len.to_le_bytes())?;
        out.write_all(&(!len).to_le_bytes())?;
        out.write_all(block)?;
    }
    out.write_all(&crc32fast::hash(bytes).to_le_bytes())?;
    let length = u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(u32::MAX);
    out.write_all(&length.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn tar_and_gzip_read_it() {
        let items = [
            Item { name: "a.json", content: b"{}".to_vec() },
            Item { name: "b.txt", content: vec![b'x'; 3 * BLOCK_MAX] },
        ];
        let mut bytes = Vec::new();
        write(&mut bytes, &items, 0).unwrap();
        let tar = Command::new("tar").args(["tzf", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut tar) = tar else { return };
        tar.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = tar.wait_with_output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "spoolhook-support/a.json\nspoolhook-support/b.txt\n");
    }
}
