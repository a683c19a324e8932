//! How large a message may be. Whatever is published is bounded to this, whoever makes it.

use async_nats::HeaderMap;

/// What the broker must take in one message: the default of nats-server. Also of one that takes
/// more nothing larger is asked for, so that a log can move to another.
pub const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// What is kept free for the headers that the broker's protocols add.
const HEADERS_BYTES: usize = 4 * 1024;
/// How large a body with its own headers may be.
pub(crate) const BODY_MAX_BYTES: usize = MESSAGE_MAX_BYTES - HEADERS_BYTES;

/// How many bytes headers have as they are sent.
pub(crate) fn of_headers(headers: &HeaderMap) -> usize {
    const FRAME: usize = "NATS/1.0\r\n\r\n".len();
    const LINE: usize = ": \r\n".len();
    let lines = headers.iter().flat_map(|(name, values)| {
        let name = AsRef::<str>::as_ref(name).len();
        values
            .iter()
            .map(move |value| name + value.as_str().len() + LINE)
    });
    FRAME + lines.sum::<usize>()
}

/// How many bytes a message has that is too large; none for one that fits.
pub(crate) fn beyond(headers: &HeaderMap, body: &[u8]) -> Option<usize> {
    // Nearly all are far smaller, and their headers need no look.
    if headers.is_empty() && body.len() <= BODY_MAX_BYTES {
        return None;
    }
    let bytes = of_headers(headers) + body.len();
    (bytes > BODY_MAX_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_may_have_this_many_bytes_with_its_headers_and_not_one_more() {
        let mut headers = HeaderMap::new();
        headers.insert("a", "bc");
        let own = of_headers(&headers);
        assert_eq!(own, "NATS/1.0\r\na: bc\r\n\r\n".len());
        let body = vec![0; BODY_MAX_BYTES - own];
        assert_eq!(beyond(&headers, &body), None);
        let body = vec![0; BODY_MAX_BYTES - own + 1];
        assert_eq!(beyond(&headers, &body), Some(BODY_MAX_BYTES + 1));
    }
}
