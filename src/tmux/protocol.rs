//! The control-mode stream: bytes in, replies and notifications out. Pure.
//!
//! Every command yields a block `%begin T N F`, lines, `%end T N F` (or `%error`), and between
//! blocks come notifications. `F` has bit 0 set for commands that came over this client's stdin;
//! blocks without it are tmux's own (the opening `new-session`, hooks).
//!
//! The lines of a block are raw. What a pane shows may contain a line that looks like the end of
//! the block, and the numbers can be guessed, so a program could end a reply early and forge the
//! next one. Commands that print such text are therefore *fenced*: a second command prints an
//! unguessable word, and only the `%end` just before it counts.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// The longest line taken before the connection is given up.
pub(super) const MAX_LINE: usize = 16 << 20;
/// The largest reply taken before the connection is given up.
pub(super) const MAX_REPLY: usize = 64 << 20;

/// The stream is not what the protocol promises; the connection must be made again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtocolError {
    /// A line or a reply without end.
    #[error("tmux sent more than {0} bytes in one piece")]
    TooLong(usize),
    /// A guard line without its counterpart, or a reply nobody asked for.
    #[error("tmux's replies are out of step: {0}")]
    OutOfStep(String),
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// How far the buffer was searched in vain.
    searched: usize,
}

impl Lines {
    /// Where to append what was read.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole line, without its newline.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        match self.buffer[self.searched..].iter().position(|&b| b == b'\n') {
            Some(found) => {
                let line = self.buffer.split_to(self.searched + found);
                let _newline = self.buffer.split_to(1);
                self.searched = 0;
                Ok(Some(line.freeze()))
            }
            None if self.buffer.len() > MAX_LINE => Err(ProtocolError::TooLong(MAX_LINE)),
            None => {
                self.searched = self.buffer.len();
                Ok(None)
            }
        }
    }
}

/// What a guard line says: the numbers of `%begin`, repeated by its `%end` or `%error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    /// Seconds since the epoch.
    pub time: u64,
    /// The server's running number.
    pub number: u64,
    /// Bit 0: asked for over this client's stdin.
    pub flags: u64,
}

/// One line, read by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// `%begin`
    Begin(Guard),
    /// `%end`
    End(Guard),
    /// `%error`
    Error(Guard),
    /// `%output` or `%extended-output`: what a pane's program wrote.
    Output {
        /// The pane, `%3`.
        pane: Bytes,
        /// The bytes, unescaped; UTF-8 may be cut at either end.
        data: Vec<u8>,
    },
    /// Any other line that begins with `%`.
    Notification(Notification),
    /// Anything else.
    Text(Bytes),
}

/// A notification that Chorus acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notification {
    /// This client is attached to a session now.
    Attached,
    /// Sessions, windows or panes came or went.
    Sessions,
    /// Panes came, went or changed their size in a window of this client's session.
    Layout,
    /// What a pane writes is dropped: this client has not taken it for too long.
    Paused,
    /// A subscribed format has a new value.
    Subscription {
        /// The subscription's name.
        name: Bytes,
        /// The value.
        value: Bytes,
    },
    /// The client is being sent away, with the reason if there is one.
    Exit(Bytes),
    /// One of no interest here.
    Other,
}

impl Line {
    /// Reads one line. Never fails: what is not understood is [`Line::Text`] or
    /// [`Notification::Other`].
    pub fn parse(line: &Bytes) -> Self {
        if !line.starts_with(b"%") {
            return Self::Text(line.clone());
        }
        let end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
        let rest = line.slice((end + 1).min(line.len())..);
        match &line[..end] {
            b"%begin" => guard(&rest).map_or(Self::Text(line.clone()), Self::Begin),
            b"%end" => guard(&rest).map_or(Self::Text(line.clone()), Self::End),
            b"%error" => guard(&rest).map_or(Self::Text(line.clone()), Self::Error),
            b"%output" => output(&rest, b" "),
            b"%extended-output" => output(&rest, b" : "),
            name => Self::Notification(Notification::parse(name, rest)),
        }
    }
}

impl Notification {
    fn parse(name: &[u8], rest: Bytes) -> Self {
        match name {
            b"%sessions-changed"
            | b"%window-add"
            | b"%window-close"
            | b"%unlinked-window-add"
            | b"%unlinked-window-close"
            | b"%session-renamed" => Self::Sessions,
            b"%layout-change" => Self::Layout,
            b"%pause" => Self::Paused,
            b"%session-changed" => Self::Attached,
            b"%exit" => Self::Exit(rest),
            b"%subscription-changed" => match find(&rest, b" : ") {
                Some(at) => {
                    let end = rest.iter().position(|&b| b == b' ').unwrap_or(at);
                    Self::Subscription { name: rest.slice(..end), value: rest.slice(at + 3..) }
                }
                None => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

fn guard(rest: &[u8]) -> Option<Guard> {
    let mut numbers = std::str::from_utf8(rest).ok()?.split(' ').map(|n| n.parse().ok());
    let guard = Guard { time: numbers.next()??, number: numbers.next()??, flags: numbers.next()?? };
    numbers.next().is_none().then_some(guard)
}

fn output(rest: &Bytes, separator: &[u8]) -> Line {
    let pane_end = rest.iter().position(|&b| b == b' ').unwrap_or(rest.len());
    let data = find(rest, separator).map_or(&[][..], |at| &rest[at + separator.len()..]);
    Line::Output { pane: rest.slice(..pane_end), data: unescape(data) }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Undoes the escaping of `%output`: `\ooo` for bytes below 0x20 and for the backslash.
///
/// A backslash that begins no such escape stays as it is.
pub(super) fn unescape(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data;
    while let [first, tail @ ..] = rest {
        rest = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            _ => {
                out.push(*first);
                tail
            }
        };
    }
    out
}

/// One command's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// It ended with `%end`, not `%error`.
    pub ok: bool,
    /// Its lines, joined by newlines.
    pub body: Vec<u8>,
}

/// What the stream yields.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<T> {
    /// The replies to one line of commands: as many as it has, fewer when one failed (the last).
    Reply(T, Vec<Block>),
    /// A block that this client did not ask for.
    Foreign(Block),
    /// A notification.
    Notification(Notification),
    /// What a pane's program wrote.
    Output {
        /// The pane, `%3`.
        pane: Bytes,
        /// The bytes.
        data: Vec<u8>,
    },
}

#[derive(Debug)]
struct Expected<T> {
    tag: T,
    blocks: usize,
    fence: Option<String>,
    done: Vec<Block>,
}

#[derive(Debug)]
struct Open {
    guard: Guard,
    lines: Vec<Bytes>,
    size: usize,
}

/// Assembles lines into replies and hands them to those who asked, in order.
#[derive(Debug)]
pub(super) struct Assembler<T> {
    expected: VecDeque<Expected<T>>,
    open: Option<Open>,
    /// The guard of a fence's own block, whose end is all that is left to come.
    fence_end: Option<Guard>,
}

impl<T> Default for Assembler<T> {
    fn default() -> Self {
        Self { expected: VecDeque::new(), open: None, fence_end: None }
    }
}

impl<T> Assembler<T> {
    /// Announces a line of commands that yields `blocks` replies.
    ///
    /// With `fence`, the reply to its last command is what a program chose, and the next line sent
    /// prints that word.
    pub fn expect(&mut self, tag: T, blocks: usize, fence: Option<String>) {
        debug_assert!(blocks > 0);
        self.expected.push_back(Expected { tag, blocks, fence, done: Vec::new() });
    }

    /// How many lines of commands wait for their reply.
    pub fn waiting(&self) -> usize {
        self.expected.len()
    }

    /// The oldest of them.
    pub fn oldest(&self) -> Option<&T> {
        self.expected.front().map(|e| &e.tag)
    }

    /// Takes the next line of the stream; calls `emit` for each thing that it completes.
    pub fn push(
        &mut self,
        line: Bytes,
        emit: &mut impl FnMut(Item<T>),
    ) -> Result<(), ProtocolError> {
        let Some(open) = &mut self.open else { return self.between_blocks(&line, emit) };
        let fence = match self.expected.front() {
            Some(Expected { fence: Some(fence), blocks, done, .. })
                if open.guard.flags & 1 == 1 && done.len() + 1 == *blocks =>
            {
                Some(fence)
            }
            _ => None,
        };
        match fence {
            Some(fence) if line == fence.as_bytes() => return self.fence_reached(emit),
            Some(_) => {}
            None => {
                let ok = match Line::parse(&line) {
                    Line::End(guard) if guard == open.guard => Some(true),
                    Line::Error(guard) if guard == open.guard => Some(false),
                    _ => None,
                };
                if let Some(ok) = ok {
                    let (guard, body) = (open.guard, join(&open.lines));
                    self.open = None;
                    self.finish(guard, Block { ok, body }, emit);
                    return Ok(());
                }
            }
        }
        open.size += line.len() + 1;
        if open.size > MAX_REPLY {
            return Err(ProtocolError::TooLong(MAX_REPLY));
        }
        open.lines.push(line);
        Ok(())
    }

    fn between_blocks(
        &mut self,
        line: &Bytes,
        emit: &mut impl FnMut(Item<T>),
    ) -> Result<(), ProtocolError> {
        let out_of_step = || {
            ProtocolError::OutOfStep(String::from_utf8_lossy(&line[..line.len().min(80)]).into())
        };
        match Line::parse(line) {
            Line::Begin(guard) => {
                if guard.flags & 1 == 1 && self.expected.is_empty() || self.fence_end.is_some() {
                    return Err(out_of_step());
                }
                self.open = Some(Open { guard, lines: Vec::new(), size: 0 });
            }
            Line::End(guard) if self.fence_end == Some(guard) => self.fence_end = None,
            Line::End(_) | Line::Error(_) => return Err(out_of_step()),
            Line::Output { pane, data } => emit(Item::Output { pane, data }),
            Line::Notification(notification) => emit(Item::Notification(notification)),
            Line::Text(_) => {}
        }
        Ok(())
    }

    /// The fence's word has come: what was collected is the reply, its true end, notifications
    /// and the `%begin` of the fence's own block.
    fn fence_reached(&mut self, emit: &mut impl FnMut(Item<T>)) -> Result<(), ProtocolError> {
        let missing = |what: &str| ProtocolError::OutOfStep(format!("a fence without {what}"));
        let Some(Open { guard, mut lines, .. }) = self.open.take() else {
            return Err(missing("a block"));
        };
        let Some(Line::Begin(fence_guard)) = lines.pop().as_ref().map(Line::parse) else {
            return Err(missing("its beginning"));
        };
        let end = lines.iter().enumerate().rev().find_map(|(at, line)| match Line::parse(line) {
            Line::End(found) if found == guard => Some((at, true)),
            Line::Error(found) if found == guard => Some((at, false)),
            _ => None,
        });
        let Some((at, ok)) = end else { return Err(missing("an end before it")) };
        let between = lines.split_off(at + 1);
        lines.truncate(at);
        self.finish(guard, Block { ok, body: join(&lines) }, emit);
        for line in between {
            // Blocks of tmux's own (hooks) may stand here as well.
            self.push(line, emit)?;
        }
        self.fence_end = Some(fence_guard);
        Ok(())
    }

    fn finish(&mut self, guard: Guard, block: Block, emit: &mut impl FnMut(Item<T>)) {
        if guard.flags & 1 == 0 {
            return emit(Item::Foreign(block));
        }
        let Some(head) = self.expected.front_mut() else { return };
        // tmux drops the rest of a line after a failed command.
        let last = !block.ok || head.done.len() + 1 == head.blocks;
        head.done.push(block);
        if last && let Some(head) = self.expected.pop_front() {
            emit(Item::Reply(head.tag, head.done));
        }
    }
}

fn join(lines: &[Bytes]) -> Vec<u8> {
    lines.join(&b'\n')
}

#[cfg(test)]
mod tests;
