//! A pane's screen as the bytes that draw it on another terminal.

use super::error::TmuxError;
use super::protocol::Block;

/// The process in a pane, and whether it has ended.
pub(super) const PROCESS_FORMAT: &str = "#{pane_pid}:#{pane_dead}";
/// What a pane's screen is like besides its text. Numbers alone: nothing in it is a program's.
pub(super) const STATE_FORMAT: &str = "#{pane_pid}:#{pane_dead} #{pane_width} #{pane_height} #{cursor_x} #{cursor_y} \
     #{scroll_region_upper} #{scroll_region_lower} #{alternate_on} #{cursor_flag} #{insert_flag} \
     #{wrap_flag} #{keypad_cursor_flag} #{keypad_flag} #{mouse_standard_flag} #{mouse_button_flag} \
     #{mouse_all_flag} #{mouse_sgr_flag}";

/// A screen with the lines before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// What makes a terminal of that size, whatever it showed before, show the same: the text with
    /// its colours, the cursor, and the modes that tmux knows of.
    pub bytes: Vec<u8>,
}

impl Screen {
    /// Reads the replies to [`STATE_FORMAT`] and to `capture-pane -e`. Tells also whose screen it is, as
    /// [`PROCESS_FORMAT`] does.
    pub(super) fn read(blocks: &[Block]) -> Result<(Self, String), TmuxError> {
        let last = blocks.last().ok_or_else(|| TmuxError::unexpected("capture-pane", b""))?;
        if !last.ok {
            return Err(TmuxError::refused("capture-pane", &last.body));
        }
        let state = blocks.iter().rev().nth(1).map_or(&[][..], |block| &block.body);
        let state =
            State::read(state).ok_or_else(|| TmuxError::unexpected("display-message", state))?;
        let bytes = state.draw(&last.body);
        Ok((Self { columns: state.columns, rows: state.rows, bytes }, state.process))
    }
}

#[derive(Debug)]
struct State {
    process: String,
    columns: u16,
    rows: u16,
    cursor: (u16, u16),
    region: (u16, u16),
    alternate: bool,
    /// The modes that are on, as `CSI … h` writes them, and the two that are on unless told.
    cursor_visible: bool,
    wraps: bool,
    keypad: bool,
    modes: Vec<&'static str>,
}

impl State {
    fn read(text: &[u8]) -> Option<Self> {
        let (process, text) = std::str::from_utf8(text).ok()?.split_once(' ')?;
        let numbers: Option<Vec<u16>> = text.split(' ').map(|n| n.parse().ok()).collect();
        let numbers: [u16; 16] = numbers?.try_into().ok()?;
        let [columns, rows, x, y, upper, lower, alternate, visible, insert, wraps, rest @ ..] =
            numbers;
        let [cursor_keys, keypad, standard, button, all, sgr] = rest.map(|flag| flag == 1);
        let modes = [
            (insert == 1, "4"),
            (cursor_keys, "?1"),
            (standard, "?1000"),
            (button, "?1002"),
            (all, "?1003"),
            (sgr, "?1006"),
        ];
        Some(Self {
            process: process.to_owned(),
            columns,
            rows,
            cursor: (x, y),
            region: (upper, lower),
            alternate: alternate == 1,
            cursor_visible: visible == 1,
            wraps: wraps == 1,
            keypad,
            modes: modes.into_iter().filter(|(on, _)| *on).map(|(_, mode)| mode).collect(),
        })
    }

    /// The sequences are those of xterm (`ctlseqs`).
    fn draw(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 256);
        // RIS: nothing of what was there before is left, the lines above neither. tmux writes line
        // drawing as G1 (SO, SI).
        out.extend_from_slice(b"\x1bc\x1b)0");
        if self.alternate {
            out.extend_from_slice(b"\x1b[?1049h");
        }
        for (at, line) in text.split(|&b| b == b'\n').enumerate() {
            if at > 0 {
                // Colours go on from line to line, but must not fill the new one.
                out.extend_from_slice(b"\r\n\x1b7\x1b[0m\x1b[2K\x1b8");
            }
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\x1b[0m\x0f");
        let (upper, lower) = self.region;
        if (upper, lower) != (0, self.rows.saturating_sub(1)) {
            out.extend_from_slice(format!("\x1b[{};{}r", upper + 1, lower + 1).as_bytes());
        }
        for mode in &self.modes {
            out.extend_from_slice(format!("\x1b[{mode}h").as_bytes());
        }
        if self.keypad {
            out.extend_from_slice(b"\x1b=");
        }
        if !self.wraps {
            out.extend_from_slice(b"\x1b[?7l");
        }
        let (x, y) = self.cursor;
        out.extend_from_slice(format!("\x1b[{};{}H", y + 1, x + 1).as_bytes());
        if !self.cursor_visible {
            out.extend_from_slice(b"\x1b[?25l");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(ok: bool, body: &str) -> Block {
        Block { ok, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_screen_is_drawn_from_nothing() {
        let state = block(true, "17:0 80 3 2 1 0 2 0 1 0 1 0 0 0 0 0 0");
        let text = block(true, "old\na\x1b[31mb\nlast");
        let (screen, process) = Screen::read(&[block(true, ""), state, text]).unwrap();
        assert_eq!((screen.columns, screen.rows, process.as_str()), (80, 3, "17:0"));
        let next = "\r\n\x1b7\x1b[0m\x1b[2K\x1b8";
        let expected = format!("\x1bc\x1b)0old{next}a\x1b[31mb{next}last\x1b[0m\x0f\x1b[2;3H");
        assert_eq!(String::from_utf8(screen.bytes).unwrap(), expected);
    }

    #[test]
    fn the_modes_of_a_full_screen_program_are_told() {
        let state = block(true, "17:0 80 24 0 0 1 22 1 0 0 0 1 1 0 1 0 1");
        let bytes = Screen::read(&[state, block(true, "x")]).unwrap().0.bytes;
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("\x1bc\x1b)0\x1b[?1049hx"), "{text:?}");
        let modes = "\x1b[2;23r\x1b[?1h\x1b[?1002h\x1b[?1006h\x1b=\x1b[?7l\x1b[1;1H\x1b[?25l";
        assert!(text.ends_with(modes), "{text:?}");
    }

    #[test]
    fn a_pane_that_is_gone_says_so() {
        let gone = Screen::read(&[block(true, ""), block(false, "can't find pane: %7")]);
        assert!(matches!(gone, Err(TmuxError::NotFound { .. })), "{gone:?}");
        assert!(Screen::read(&[]).is_err() && Screen::read(&[block(true, "x")]).is_err());
    }
}
