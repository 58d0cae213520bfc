"""Generated images of many objects with boxes, on which the demo, ``aligndet check`` and tests run.

Objects of eight classes and many sizes lie on cluttered, textured grounds and partly hide each other. A class
is a shape; its texture and its colours only lean one way, so that none of them alone tells classes apart.
Everything follows from a seed. numpy and OpenCV only.

    shapes, textures -> scene.render_scene -> dataset.write_dataset     a labelled set in splits
                                           -> pictures.write_pictures   pictures of any shape and channels
"""
