//! The size limit of a message. Every message that Fanfold publishes stays within it.

use async_nats::HeaderMap;

/// The bytes that the broker must take in one message: the default of nats-server. Fanfold sends no
/// larger message even to a broker that takes one, so that a log can move to another broker.
pub const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// The bytes kept free for the headers that the broker's protocols add.
const HEADERS_BYTES: usize = 4 * 1024;
/// The most bytes of a body with its own headers.
pub(crate) const BODY_MAX_BYTES: usize = MESSAGE_MAX_BYTES - HEADERS_BYTES;

/// The bytes of the headers on the wire.
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

/// The bytes of a message that is too large; `None` for a message that fits.
pub(crate) fn beyond(headers: &HeaderMap, body: &[u8]) -> Option<usize> {
    // Nearly all messages are far smaller. Without headers there is nothing else to count.
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
