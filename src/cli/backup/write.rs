//! Writing an archive.

use std::fs::File;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::{FORMAT, HEAD, Head, SUMS, hex};
use crate::admin::api::BackupPlan;

/// A file is not what the plan says any more: the engine has moved or removed it. Another plan is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed(pub String);

/// Reads and digests; more than what is there is nothing.
struct Digesting<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

fn header(bytes: u64, at_s: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(at_s);
    header
}

/// Writes everything in `plan` to `out`; `told` hears how many bytes are in.
pub fn write(out: impl Write, plan: &BackupPlan, mut told: impl FnMut(u64)) -> io::Result<Result<(), Changed>> {
    let at_s = u64::try_from(plan.at.as_secs()).unwrap_or(0);
    let mut archive = tar::Builder::new(out);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let head = Head { format: FORMAT, version, at: plan.at.to_string(), record: plan.record };
    let head = serde_json::to_vec(&head)?;
    let mut sums = format!("{}  {HEAD}\n", hex(&Sha256::digest(&head)));
    archive.append_data(&mut header(head.len() as u64, at_s), HEAD, &*head)?;
    let mut written = 0;
    for file in &plan.files {
        let open = match File::open(&file.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Err(Changed(file.name.clone()))),
            other => other?,
        };
        // One that was cut meanwhile must not shift what follows.
        if open.metadata()?.len() < file.bytes {
            return Ok(Err(Changed(file.name.clone())));
        }
        let mut content = Digesting { inner: open.take(file.bytes), hash: Sha256::new(), bytes: 0 };
        archive.append_data(&mut header(file.bytes, at_s), &file.name, &mut content)?;
        if content.bytes != file.bytes {
            return Ok(Err(Changed(file.name.clone())));
        }
        sums.push_str(&format!("{}  {}\n", hex(&content.hash.finalize()), file.name));
        written += file.bytes;
        told(written);
    }
    archive.append_data(&mut header(sums.len() as u64, at_s), SUMS, sums.as_bytes())?;
    archive.into_inner()?.flush()?;
    Ok(Ok(()))
}
