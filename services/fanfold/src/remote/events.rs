//! Server-sent events, as they arrive in pieces.

/// An event of the stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub data: String,
}

/// What has arrived of a stream.
#[derive(Default)]
pub struct Events {
    /// The bytes behind the last whole line.
    rest: Vec<u8>,
    id: String,
    data: Vec<String>,
}

impl Events {
    /// The events that are whole with this piece. An event counts once the empty line behind it is
    /// there.
    pub fn take(&mut self, piece: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(piece);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        let whole = String::from_utf8_lossy(&whole);
        whole.lines().filter_map(|line| self.line(line)).collect()
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.id),
            "data" => self.data.push(value.to_owned()),
            "" if line.is_empty() && !self.data.is_empty() => {
                return Some(Event {
                    id: self.id.clone(),
                    data: std::mem::take(&mut self.data).join("\n"),
                });
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let stream = ": hello\n\nid: 5:0\r\nevent: x\r\ndata: {\"ö\":\r\ndata: 1}\r\n\r\nid: 6:0\ndata:2\n\n";
        let event = |id: &str, data: &str| Event {
            id: id.into(),
            data: data.into(),
        };
        let all = [event("5:0", "{\"ö\":\n1}"), event("6:0", "2")];
        for size in 1..stream.len() {
            let mut events = Events::default();
            let pieces = stream.as_bytes().chunks(size);
            let taken: Vec<Event> = pieces.flat_map(|piece| events.take(piece)).collect();
            assert_eq!(taken, all, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_that_has_not_ended_does_not_count() {
        let mut events = Events::default();
        assert_eq!(events.take(b"id: 1:0\ndata: 1\n"), []);
        assert_eq!(events.take(b"\n").len(), 1);
    }
}
