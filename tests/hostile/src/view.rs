//! Whether a view is in Redis. The API would fold the log for a missing view, and so hide a stalled
//! projector.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Whether the view of a request exists; `None` if Redis does not answer.
pub async fn is_there(redis_port: u16, password: &str, id: &str) -> std::io::Result<Option<bool>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, redis_port)).await?;
    stream
        .write_all(format!("AUTH {password}\r\n").as_bytes())
        .await?;
    let mut greeting = [0; 5];
    stream.read_exact(&mut greeting).await?;
    if &greeting != b"+OK\r\n" {
        return Ok(None);
    }
    stream
        .write_all(format!("EXISTS state:request:{id}\r\n").as_bytes())
        .await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    Ok(match &answer {
        b":1\r\n" => Some(true),
        b":0\r\n" => Some(false),
        _ => None,
    })
}
