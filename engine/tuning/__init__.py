"""Teaching a finder what people said: fine-tuning on the grades of a project, and judging whether that helped."""
