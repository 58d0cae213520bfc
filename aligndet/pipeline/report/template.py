"""The page as a jinja2 template: everything in one file, and nothing from the network."""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --accent: #1b6fc2; --bad: #c0392b; --good: #2e7d32 }
@media (prefers-color-scheme: dark) { :root { --accent: #6db3f2; --bad: #ff8a7a; --good: #81c784 } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1080px; padding: 1.5rem }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
table { border-collapse: collapse } td, th { border-bottom: 1px solid var(--line); padding: .3rem .8rem .3rem 0;
  text-align: left; vertical-align: top }
code, pre { font: 13px/1.5 ui-monospace, monospace; background: var(--soft); border-radius: 4px; padding: .1rem .3rem }
pre { padding: .6rem .8rem; overflow-x: auto; white-space: pre-wrap }
img, svg { max-width: 100%; height: auto } figure { margin: 0 0 1rem } figcaption, .small { font-size: .9em; opacity: .8 }
.curves { display: flex; flex-wrap: wrap; gap: .5rem }
.number { text-align: right; font-variant-numeric: tabular-nums }
.done, .helped { color: var(--good) } .failed, .interrupted, .hurt { color: var(--bad) }
.verdict { border-left: 4px solid var(--accent); padding: .2rem 1rem; background: var(--soft) }
svg text { font-size: 11px; fill: currentColor } svg .end { text-anchor: end } svg .middle { text-anchor: middle }
svg .axis { stroke: var(--line); fill: none } svg .curve { stroke: var(--accent); stroke-width: 1.8; fill: none }
svg .dot { fill: var(--accent) }
</style>
<h1>{{ title }}</h1>
<p class="small">{{ data.started }}{% if data.finished %} to {{ data.finished }}{% endif %} ·
<span class="{{ data.state }}">{{ data.state }}</span> · {{ seconds }} of work · aligndet {{ data.versions.aligndet }}</p>

<div class="verdict">
<h2>{{ verdict.title }}</h2>
{% for line in verdict.lines %}<p>{{ line }}</p>
{% endfor %}</div>

<h2>Next</h2>
<pre>{% for line in following %}{{ line }}
{% endfor %}</pre>

<h2>Stages</h2>
<table>
<tr><th>stage</th><th>state</th><th>result</th><th class="number">time</th></tr>
{% for row in rows %}<tr><td>{{ row.name }}</td><td class="{{ row.state }}">{{ row.state }}</td>
<td>{% for line in row.lines %}{{ line }}<br>{% endfor %}</td><td class="number">{{ row.time }}</td></tr>
{% endfor %}</table>

{% if arms %}<h2>AP by label fraction</h2>
<table>
<tr><th>labels</th><th>start</th>
{% for name in measures %}<th class="number">{{ name }}, mean ± std</th>{% endfor %}
<th class="number">seeds</th><th class="number">learning rate</th>
<th class="number">difference to {{ baseline }} [95 % interval]</th><th>verdict</th></tr>
{% for arm in arms %}<tr><td>{{ arm.percent }} %</td><td>{{ arm.start }}</td>
{% for score in arm.scores %}<td class="number">{{ score }}</td>{% endfor %}
<td class="number">{{ arm.seeds }}</td><td class="number">{{ arm.lr }}</td><td class="number">{{ arm.difference }}</td>
<td class="{{ arm.verdict }}">{{ arm.verdict }}</td></tr>
{% endfor %}</table>
<p>{{ gains }}</p>
<p class="small">COCO box AP in points (0 to 100). Runs of one seed share labels, data order and training seed; the
interval is the paired t interval over seeds.</p>
{% for note in notes %}<p class="small">{{ note }}</p>{% endfor %}
{% endif %}

{% if retrieval %}<h2>Does a box find itself?</h2>
<table>
<tr><th>share of boxes found in the mirrored view</th><th class="number">%</th></tr>
{% for name, value in retrieval %}<tr><td>{{ name }}</td><td class="number">{{ value }}</td></tr>
{% endfor %}</table>
<p class="small">Each box of one view looks for the most similar among all boxes and background of the other, mirrored
view, over a batch of images. This says that the features tell boxes apart, not that fine-tuning gains.</p>{% endif %}

{% for stage, figures in curves %}<h2>Training: {{ stage }}</h2>
<div class="curves">{% for figure in figures %}{{ figure }}{% endfor %}</div>
{% endfor %}

{% for picture in pictures %}<h2>{{ picture.title }}</h2>
<figure><img alt="{{ picture.title }}" src="{{ picture.source }}"><figcaption>{{ picture.text }}</figcaption></figure>
{% endfor %}

{% if data.warnings %}<h2>Warnings</h2>
<ul>{% for line in data.warnings %}<li>{{ line }}</li>{% endfor %}</ul>{% endif %}

<h2>What was asked</h2>
<pre>{{ data.command or "aligndet.pretrain(...)" }}</pre>
<table>{% for name, value in asked %}<tr><td>{{ name }}</td><td><code>{{ value }}</code></td></tr>
{% endfor %}</table>
<p class="small">in {{ data.directory }}; seed {{ data.seed }}; full log: {{ log }}</p>

<h2>Versions</h2>
<table>{% for name, value in data.versions.items() %}<tr><td>{{ name }}</td><td>{{ value }}</td></tr>
{% endfor %}</table>

<h2>Contents</h2>
<table>{% for name, value in data.inputs.items() %}<tr><td>{{ name }}</td><td><code>{{ value[:20] }}</code></td></tr>
{% endfor %}</table>
</html>
"""  # noqa: E501
