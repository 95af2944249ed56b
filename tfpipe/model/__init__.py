"""Names and folders to models: the room where pretrained weights come in and go out."""
