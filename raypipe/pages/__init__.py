"""Pages for people: how one looks, and how what data says is put into it."""
