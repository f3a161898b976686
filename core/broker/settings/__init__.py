"""The broker's and its topics' settings: where they come from, and how admins see and change them."""
