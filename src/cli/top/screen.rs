//! The terminal: taken over for the view, and given back however that ends.

use std::io::{Stdout, Write as _, stdout};

use anyhow::Result;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

/// The terminal while it is ours.
pub struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    /// Takes the terminal over. After a panic of the main thread it is given back before the panic
    /// is told; one of a task is told by the main thread.
    pub fn take() -> Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("main") {
                give_back();
                before(info);
            }
        }));
        let screen = Self(terminal()?);
        enter()?;
        Ok(screen)
    }

    /// Draws, and tells what the drawing tells.
    pub fn draw<T>(&mut self, draw: impl FnOnce(&mut Frame<'_>) -> T) -> Result<T> {
        let mut told = None;
        self.0.draw(|frame| told = Some(draw(frame)))?;
        told.ok_or_else(|| anyhow::anyhow!("nothing was drawn"))
    }

    /// Gives the terminal to somebody else for a while.
    pub fn leave(&mut self) {
        give_back();
    }

    /// Takes it over again, whatever is on it.
    pub fn again(&mut self) -> Result<()> {
        enter()?;
        // A terminal that remembers nothing of what was drawn draws everything.
        self.0 = terminal()?;
        execute!(stdout(), Clear(ClearType::All))?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn terminal() -> Result<Terminal<CrosstermBackend<Stdout>>> {
    Ok(Terminal::new(CrosstermBackend::new(stdout()))?)
}

fn enter() -> Result<()> {
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)?;
    Ok(())
}

fn give_back() {
    // The terminal may be gone, and then there is nobody to tell.
    let _ = execute!(stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
    let _ = stdout().flush();
}
