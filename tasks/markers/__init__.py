"""Object markers: label text, placement, rendering of marked clips, and the answer vote."""
