//! Linux: who is behind a TCP connection within this machine.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{PeerSocket, linux};

/// Looks for the socket whose own address is `peer` and whose other end is `local`.
pub(super) fn peer_of_tcp(local: SocketAddr, peer: SocketAddr) -> Option<PeerSocket> {
    let (local, peer) = (canonical(local), canonical(peer));
    // A socket of either family may speak IPv4.
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let lines = BufReader::new(File::open(table).ok()?).lines().map_while(Result::ok);
        let mut entries = lines.filter_map(|line| Entry::parse(&line));
        // Without an inode nobody holds it any more (TIME_WAIT).
        entries
            .find(|entry| entry.own == peer && entry.other == local && entry.socket.inode != 0)
            .map(|entry| entry.socket)
    })
}

/// One line of `/proc/net/tcp` or `tcp6`.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    own: SocketAddr,
    other: SocketAddr,
    socket: PeerSocket,
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (own, other) = (address(fields.next()?)?, address(fields.next()?)?);
        // state, queues, timer, retransmissions
        let mut fields = fields.skip(4);
        let uid = fields.next()?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        Some(Self { own, other, socket: PeerSocket { uid, inode } })
    }
}

/// Reads `0100007F:1F90`: each 32 bits of the address as a number in the machine's byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let number = u32::from_str_radix(ip.get(at..at + 8)?, 16).ok()?;
        Some(number.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(canonical(SocketAddr::new(ip, port)))
}

/// IPv4 within IPv6 as IPv4; without scope and flow.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

pub(super) fn holders_of(inode: u64, uid: u32) -> Vec<u32> {
    let socket = format!("socket:[{inode}]");
    let holds = |pid: &u32| {
        let folder = format!("/proc/{pid}");
        let owned = fs::metadata(&folder).is_ok_and(|metadata| metadata.uid() == uid);
        let open = |folder: String| fs::read_dir(folder).into_iter().flatten().flatten();
        owned
            && open(format!("{folder}/fd"))
                .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == Path::new(&socket)))
    };
    linux::pids().filter(holds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_is_read() {
        let line = "   1: 0100007F:1F90 0200007F:D431 01 00000000:00000000 00:00000000 00000000  \
                    1000        0 4711 1 0000000000000000 100 0 0 10 0";
        let entry = Entry::parse(line).unwrap();
        assert_eq!(entry.own, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(entry.other, "127.0.0.2:54321".parse().unwrap());
        assert_eq!(entry.socket, PeerSocket { uid: 1000, inode: 4711 });
        let mapped = address("0000000000000000FFFF00000100007F:0001").unwrap();
        assert_eq!(mapped, "127.0.0.1:1".parse().unwrap());
        let loopback = address("00000000000000000000000001000000:0001").unwrap();
        assert_eq!(loopback, "[::1]:1".parse().unwrap());
        for bad in ["", "x", "0100007F:", ":1", "é100007:1", "0100007F0:1"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_client_is_found() {
        for listen in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            // A machine may be without IPv6.
            let Ok(listener) = TcpListener::bind(listen) else { continue };
            let port = listener.local_addr().unwrap().port();
            let host = if listen.starts_with("[::1]") { "[::1]" } else { "127.0.0.1" };
            let client = TcpStream::connect(format!("{host}:{port}")).unwrap();
            let (accepted, peer) = listener.accept().unwrap();
            let found = peer_of_tcp(accepted.local_addr().unwrap(), peer).expect(listen);
            assert_eq!(found.uid, rustix::process::getuid().as_raw());
            assert!(holders_of(found.inode, found.uid).contains(&std::process::id()));
            assert!(holders_of(found.inode, found.uid + 1).is_empty());
            drop(client);
            // A program that another test is just starting may hold a copy for a moment.
            let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
            while peer_of_tcp(accepted.local_addr().unwrap(), peer).is_some() {
                assert!(std::time::Instant::now() < end, "a closed socket is still found");
                std::thread::yield_now();
            }
        }
    }
}
