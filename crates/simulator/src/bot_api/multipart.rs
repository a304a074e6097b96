//! Reading `multipart/form-data` (RFC 7578): the text fields of a body that is in memory already. Files are passed over.

/// The most parts that one body may have.
const MAX_PARTS: usize = 100;

/// The fields without a file name, in the order in which they stand.
///
/// # Errors
/// What is wrong with the body, as a short sentence.
pub fn text_fields(content_type: &str, body: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    let boundary = parameter(content_type, "boundary").filter(|b| !b.is_empty()).ok_or("multipart boundary is missing")?;
    let delimiter = format!("--{boundary}");
    let mut rest = find(body, delimiter.as_bytes()).map(|at| &body[at + delimiter.len()..]).ok_or("multipart body is broken")?;
    let delimiter = format!("\r\n{delimiter}");
    let mut fields = Vec::new();
    for _ in 0..MAX_PARTS {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        let part = rest.strip_prefix(b"\r\n").ok_or("multipart body is broken")?;
        let end = find(part, delimiter.as_bytes()).ok_or("multipart body is cut off")?;
        let (head, value) = match find(&part[..end], b"\r\n\r\n") {
            Some(at) => (&part[..at], &part[at + 4..end]),
            None => return Err("multipart part has no headers"),
        };
        if let Some(name) = field_name(&String::from_utf8_lossy(head)) {
            fields.push((name, String::from_utf8(value.to_vec()).map_err(|_| "strings must be encoded in UTF-8")?));
        }
        rest = &part[end + delimiter.len()..];
    }
    Err("too many parts in a multipart body")
}

/// The name in `Content-Disposition`, unless the part is a file.
fn field_name(head: &str) -> Option<String> {
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    parameter(disposition, "filename").is_none().then(|| parameter(disposition, "name")).flatten()
}

/// `name="value"` or `name=value` behind a semicolon.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|piece| {
        let (key, value) = piece.trim().split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x1\"";

    #[test]
    fn text_fields_are_read_and_files_passed_over() {
        let body = "--x1\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n-100\r\n\
                    --x1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n\u{1}\r\n\
                    --x1\r\ncontent-disposition: form-data; name=\"text\"\r\nContent-Type: text/plain\r\n\r\nline\r\nПривет\r\n--x1--\r\n";
        let fields = text_fields(TYPE, body.as_bytes()).unwrap();
        assert_eq!(fields, [("chat_id".to_owned(), "-100".to_owned()), ("text".to_owned(), "line\r\nПривет".to_owned())]);
    }

    #[test]
    fn broken_bodies_are_errors() {
        for body in ["", "--x1", "--x1\r\nno headers\r\n--x1--", "--x1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv"] {
            assert!(text_fields(TYPE, body.as_bytes()).is_err(), "{body:?}");
        }
        assert!(text_fields("multipart/form-data", b"--x1--").is_err());
    }
}
