"""How the small models of the zoo were made, one command each: `python -m course.models.pretrain resnet`."""
