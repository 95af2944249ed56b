"""Customer service: a web page that answers by served models and hands over to people."""
