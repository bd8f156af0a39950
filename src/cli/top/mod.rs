pub async fn run(_data: &crate::config::DataDir) -> anyhow::Result<super::exit::Exit> { todo!() }
