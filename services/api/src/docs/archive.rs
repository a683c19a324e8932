//! The Swagger UI as it is released: a ZIP archive that lies in the program as it is.
//!
//! Crates that read archives cost more to build than the files are worth. The archive is fixed at
//! build time, so its end and its directory are enough.

use flate2::read::DeflateDecoder;
use std::io::Read;

/// A file of the archive.
pub struct File {
    /// Its data, compressed where `deflated` says so.
    data: &'static [u8],
    deflated: bool,
    crc32: u32,
    size: u32,
}

impl File {
    /// The file as a gzip member, if the archive holds it compressed: both have the same form of
    /// data, in different frames.
    pub fn as_gzip(&self) -> Option<Vec<u8>> {
        // No name, no time, no system.
        const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let (crc32, size) = (self.crc32.to_le_bytes(), self.size.to_le_bytes());
        self.deflated
            .then(|| [&HEADER, self.data, &crc32, &size].concat())
    }

    /// The file itself.
    pub fn plain(&self) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        if self.deflated {
            DeflateDecoder::new(self.data).read_to_end(&mut plain)?;
        } else {
            plain.extend_from_slice(self.data);
        }
        Ok(plain)
    }
}

/// The file whose path ends with `/dist/` and this name.
pub fn find(name: &str) -> Option<File> {
    find_in(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED, name)
}

fn find_in(zip: &'static [u8], name: &str) -> Option<File> {
    // The record at the end of the archive: it has the place and the number of the entries. The
    // archive's comment follows it.
    let end = (0..=zip.len().checked_sub(22)?)
        .rev()
        .find(|at| zip[*at..].starts_with(b"PK\x05\x06"))?;
    let mut entry = number(zip, end + 16)?;
    for _ in 0..short(zip, end + 10)? {
        let [named, extra, comment] = [28, 30, 32].map(|field| short(zip, entry + field));
        let named = named?;
        let path = zip.get(entry + 46..entry + 46 + named)?;
        if path_is(path, name) {
            return read(zip, entry);
        }
        entry += 46 + named + extra? + comment?;
    }
    None
}

fn path_is(path: &[u8], name: &str) -> bool {
    let is_plain = !name.is_empty() && !name.contains('/');
    let folder = path.strip_suffix(name.as_bytes()).filter(|_| is_plain);
    let top = folder.and_then(|folder| folder.strip_suffix(b"/dist/"));
    top.is_some_and(|top| !top.is_empty() && !top.contains(&b'/'))
}

/// Reads the entry of the directory at `entry`.
fn read(zip: &'static [u8], entry: usize) -> Option<File> {
    let deflated = match short(zip, entry + 10)? {
        0 => false,
        8 => true,
        _ => return None,
    };
    // The file's own header: its fields may be longer than those of the directory.
    let header = number(zip, entry + 42)?;
    let data = header + 30 + short(zip, header + 26)? + short(zip, header + 28)?;
    Some(File {
        data: zip.get(data..data + number(zip, entry + 20)?)?,
        deflated,
        crc32: u32::try_from(number(zip, entry + 16)?).ok()?,
        size: u32::try_from(number(zip, entry + 24)?).ok()?,
    })
}

fn short(zip: &[u8], at: usize) -> Option<usize> {
    let bytes = zip.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_le_bytes(bytes).into())
}

fn number(zip: &[u8], at: usize) -> Option<usize> {
    let bytes = zip.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;

    #[test]
    fn a_file_is_the_same_as_it_is_and_as_gzip() {
        for name in ["index.html", "swagger-ui.css", "swagger-ui-bundle.js"] {
            let file = find(name).unwrap();
            let plain = file.plain().unwrap();
            assert_eq!(plain.len(), usize::try_from(file.size).unwrap(), "{name}");
            let mut unpacked = Vec::new();
            // The decoder compares the sum of the file with the one of the archive.
            GzDecoder::new(&file.as_gzip().unwrap()[..])
                .read_to_end(&mut unpacked)
                .unwrap();
            assert!(plain == unpacked, "{name}");
        }
    }

    #[test]
    fn a_file_that_is_not_compressed_has_no_gzip_form() {
        let file = find("favicon-32x32.png").unwrap();
        assert!(file.plain().unwrap().starts_with(b"\x89PNG"));
        assert!(file.as_gzip().is_none());
    }

    #[test]
    fn only_the_files_of_the_page_are_found() {
        for name in [
            "",
            "package.json",
            "../package.json",
            "ui.css",
            "dist/index.html",
        ] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_has_no_files() {
        let whole = utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
        let end = whole.windows(4).rposition(|four| four == b"PK\x05\x06");
        let end = end.unwrap();
        for cut in [0, 1, 21, 22, whole.len() / 2, end, end + 21] {
            assert!(find_in(&whole[..cut], "index.html").is_none(), "{cut}");
        }
    }
}
