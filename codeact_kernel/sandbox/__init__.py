"""Where programs run: one process per sandbox (`worker`), its host side (`process`), and a warm spare (`pool`)."""
