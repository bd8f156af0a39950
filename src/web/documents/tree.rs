//! A tree of folders out of paths, as a page lists it.

use std::collections::BTreeMap;

use crate::domain::document::Document;
use crate::web::address::element_id;

/// What comes next in the tree, from top to bottom.
pub enum Node {
    /// A folder begins.
    Open {
        /// Its name; of several that hold nothing but one another, all of their names.
        name: String,
        /// Tells it from all others.
        id: String,
        /// How many documents are below it.
        count: usize,
    },
    /// A document, with its file's name.
    File(String, Document),
    /// The folder ends.
    Close,
}

#[derive(Default)]
struct Folder {
    folders: BTreeMap<String, Folder>,
    files: Vec<(String, Document)>,
}

impl Folder {
    fn put(&mut self, document: Document) {
        let path = document.path.clone();
        let mut parts: Vec<&str> = path.split('/').collect();
        let name = parts.pop().unwrap_or_default().to_owned();
        let mut folder = self;
        for part in parts {
            folder = folder.folders.entry(part.to_owned()).or_default();
        }
        folder.files.push((name, document));
    }

    fn count(&self) -> usize {
        self.files.len() + self.folders.values().map(Self::count).sum::<usize>()
    }

    fn list(self, root: &str, path: &str, nodes: &mut Vec<Node>) {
        for (name, mut folder) in self.folders {
            let mut name = name;
            while folder.files.is_empty() && folder.folders.len() == 1 {
                let Some((next, inner)) = folder.folders.pop_first() else { break };
                name = format!("{name}/{next}");
                folder = inner;
            }
            let path = format!("{path}/{name}");
            nodes.push(Node::Open { id: element_id(root, &path), count: folder.count(), name });
            folder.list(root, &path, nodes);
            nodes.push(Node::Close);
        }
        nodes.extend(self.files.into_iter().map(|(name, document)| Node::File(name, document)));
    }
}

/// Makes the tree of some documents of one root: folders first, each part in the order of the alphabet.
pub fn tree(root: &str, documents: impl IntoIterator<Item = Document>) -> Vec<Node> {
    let mut top = Folder::default();
    documents.into_iter().for_each(|document| top.put(document));
    let mut nodes = Vec::new();
    top.list(root, "", &mut nodes);
    nodes
}

#[cfg(test)]
mod tests {
    use super::{Node, tree};
    use crate::domain::document::{Category, Document};
    use crate::domain::ids::{DocumentId, ProjectId};
    use crate::domain::time::Timestamp;

    fn document(path: &str) -> Document {
        Document {
            id: DocumentId(1),
            project_id: ProjectId(uuid::Uuid::nil()),
            path: path.to_owned(),
            category: Category::General,
            description: None,
            pinned: false,
            bytes: 1,
            last_modified: Timestamp(0),
            missing: false,
            references: 0,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn folders_come_first_and_lonely_ones_are_one() {
        let paths = ["README.md", "docs/a.md", "docs/b/c/d.md", "docs/b/c/e/f.md", "x/y/z.md"];
        let nodes = tree("", paths.map(document));
        let told: Vec<String> = nodes
            .iter()
            .map(|node| match node {
                Node::Open { name, count, .. } => format!("{name}({count}"),
                Node::File(name, _) => name.clone(),
                Node::Close => ")".to_owned(),
            })
            .collect();
        assert_eq!(told.join(" "), "docs(3 b/c(2 e(1 f.md ) d.md ) a.md ) x/y(1 z.md ) README.md");
    }
}
