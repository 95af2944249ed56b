"""What people look at while a study runs and afterwards: table, TensorBoard, page."""
