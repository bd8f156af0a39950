//! scripted model
