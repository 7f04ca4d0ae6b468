"""Rules mined on linked graphs: answers that can be shown, and a second teacher."""
