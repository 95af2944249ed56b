"""Texts of the other sections, from labels to environment."""

SECTIONS: dict[str, str | tuple[str, str]] = {
    # ---- labels
    "classes.note": (
        "表现最差的在前，点击表头可以排序。精确率：被判为该标签的文本中判对的比例。"
        "召回率：属于该标签的文本中被找出的比例。F1：两者的调和平均。样本数：属于该标签的文本数。"
    ),
    "classes.note_thresholds": (
        "每个标签有各自的判定阈值，按验证集 F1 最高选定，因此验证集 F1 略微偏高。"
    ),
    "classes.brief": "{count} 个标签，F1 从 {worst} 到 {best}",
    "column.f1": "F1",
    "column.precision": "精确率",
    "column.recall": "召回率",
    "column.support": "样本数",
    "column.threshold": "判定阈值",
    "column.test_f1": "测试集 F1",
    "column.taken_for": "最常被误判为",
    "taken_for": "{label}（{count}）",
    # ---- confusion
    "confusion.pairs": "最常被混淆的标签",
    "confusion.pairs_note": "示例是这样混淆的文本中得分最高的一条。",
    "confusion.none": "{dev}中没有判错的文本。",
    "confusion.whole": "完整的混淆矩阵",
    "confusion.whole_note": (
        "行是标注标签，列是预测标签，颜色深浅表示占该行的比例；蓝色为正确，橙色为错误。"
        "把指针移到格子上可以查看数值。"
    ),
    "confusion.cut": "共 {labels} 个标签，这里显示错误最多的 {shown} 个。",
    "confusion.cut_cells": "共有 {cells} 个非空的格子，这里显示数值最大的 {shown} 个。",
    "confusion.marks": "圆圈旁的数字对应上表中的前几对标签。",
    "confusion.zoom": "缩放",
    "confusion.fit": "整体",
    "confusion.cell": "{gold} → {predicted}：{support} 条中的 {count} 条（{share}）",
    "column.gold": "标注",
    "column.predicted": "预测",
    "column.count": "文本数",
    "column.of_gold": "占标注的比例",
    "column.example": "示例",
    # ---- calibration
    "calibration.note": (
        "按得分把回答分组。校准良好的模型，得分在 0.8 左右的回答应有 80% 正确，"
        "即各点落在虚线上；低于虚线表示过于自信，高于虚线表示自信不足。"
    ),
    "calibration.fitted": "每条文本的得分都用在其他文本上拟合的温度来校准。",
    "calibration.error": "期望校准误差",
    "calibration.error_value": "{value}：得分与实际正确率平均相差这么多",
    "calibration.raw_error": "校准之前",
    "calibration.temperature": "温度",
    "calibration.confidence": "平均得分",
    "calibration.accuracy": "实际正确率",
    "calibration.brief": "期望校准误差 {value}",
    # ---- abstention
    "abstention.note": (
        "得分较低时模型可以不作回答。从右到左，回答的文本越来越少，其中答错的比例也越来越低。"
        "其他各节看的都是得分最高的标签，不论是否作答。"
    ),
    "abstention.note_expected": (
        "在选定阈值所用的文本上，阈值的效果会显得偏好。“预期”一列更接近新文本上的表现："
        "把验证集分成五份，每一份都使用由其余四份选出的阈值。"
    ),
    "abstention.brief": "{share} 的文本不作回答",
    "abstention.threshold": "得分达到 {value} 才作回答。",
    "abstention.coverage": "作出回答的文本",
    "abstention.accuracy": "其中答对的",
    "abstention.in_scope": "范围内文本归类正确的比例",
    "abstention.out_of_scope": "范围外（{label}）文本未被误归的比例",
    "column.chosen": "验证集",
    "column.expected": "预期",
    "column.test": "测试集",
    # ---- scatter
    "scatter.note": "每个点是一条样本，虚线上的点预测完全正确。",
    "scatter.sampled": "每个点是一条样本，显示 {count} 条中的 {shown} 条；虚线上的点预测完全正确。",
    # ---- slices
    "slices.length": "按长度（词元数）",
    "slices.context": "按问题与上下文的总长度（词元数）",
    "slices.characters": "按长度（字符数）",
    "slices.script": "按文字",
    "script.han": "汉字",
    "script.kana": "假名",
    "script.hangul": "谚文",
    "script.cyrillic": "西里尔字母",
    "script.arabic": "阿拉伯字母",
    "script.devanagari": "天城文",
    "script.thai": "泰文",
    "script.greek": "希腊字母",
    "script.hebrew": "希伯来字母",
    "script.bengali": "孟加拉文",
    "script.gurmukhi": "古木基文",
    "script.gujarati": "古吉拉特文",
    "script.tamil": "泰米尔文",
    "script.telugu": "泰卢固文",
    "script.kannada": "卡纳达文",
    "script.malayalam": "马拉雅拉姆文",
    "script.sinhala": "僧伽罗文",
    "script.lao": "老挝文",
    "script.tibetan": "藏文",
    "script.myanmar": "缅甸文",
    "script.khmer": "高棉文",
    "script.ethiopic": "埃塞俄比亚文",
    "script.mongolian": "蒙古文",
    "script.armenian": "亚美尼亚字母",
    "script.georgian": "格鲁吉亚字母",
    "script.latin": "拉丁字母",
    "script.other": "其他文字",
    "script.none": "无字母",
    "slices.source": "按来源",
    "slices.note": (
        "▼ 表示该组的整个区间都差于{dev}整体的 {overall}。分组较多时，个别组可能只是偶然如此。"
    ),
    "column.length": "词元数",
    "column.context": "词元数",
    "column.characters": "字符数",
    "column.where": "来源",
    # ---- robustness
    "robustness.texts": "文本",
    "robustness.note": (
        "每种改动会修改文本中可改动位置的 {share}，至少一处；没有变化的文本不计入。"
        "改动前与改动后均为同一批文本上的{figure}。"
    ),
    "robustness.attack": "错别字攻击",
    "robustness.attacked": (
        "对答案影响最大的词中，最多改错 {count} 个，并选择最能降低正确标签得分的写法："
        "{texts} 条文本的正确率由 {before} 变为 {after}。"
    ),
    "robustness.expectations": "预期",
    "robustness.expected": "{source} 的 {rows} 条预期中满足 {met} 条。",
    # ---- compression
    "compression.before": "压缩前",
    "compression.after": "压缩后",
    "compression.latency": "批大小 {batch} 的毫秒数，p50 / p95",
    "compression.same": (
        "由 tfpipe.compress 从 {run} 压缩得到。对{dev}的 {texts} 条样本，{same} 的答案相同；"
        "检验两者正确率相等的精确检验 p = {p}。"
    ),
    "compression.lost": "{dev}中 {share} 的词元不在精简后的词表中，会被读作几个更小的词元。",
    "compression.timed": (
        "时间为导出计算图（float32）从文本到答案的用时，两个模型在执行压缩的机器上交替测量。"
    ),
    "fact.vocabulary": "词表词元数",
    "fact.layers": "层数",
    "fact.heads": "每层注意力头数",
    "fact.ffn": "前馈层单元数",
    "column.change": "改动",
    "column.before": "改动前",
    "column.after": "改动后",
    "column.kept": "答案不变",
    "column.expected_answer": "预期",
    "change.typos": "相邻按键",
    "change.swap": "字母颠倒",
    "change.drop": "缺字母",
    "change.case": "大小写",
    "change.spacing": "空格",
    "change.punctuation": "标点",
    "change.width": "全角半角",
    "change.emoji": "表情符号",
    "change.invisible": "不可见字符",
    "change.homoglyphs": "形似字母",
    "change.homophones": "同音字",
    "change.shapes": "形近字",
    "change.scripts": "简体繁体",
    # ---- mistakes
    "mistakes.confident": (
        "{dev}上得分最高的错误回答。先看这里，容易发现错误的标注和含义重叠的标签。"
    ),
    "mistakes.decisions": (
        "对某个标签判断错误且最为自信的文本，得分表示自信程度。先看这里，容易发现漏标的标签。"
    ),
    "mistakes.answers": (
        "与标准答案没有任何重合的回答，得分最高的在前。上下文只显示答案附近的部分："
        "蓝色底色是标准答案的文字，虚线标出模型的回答。"
    ),
    "mistakes.entities": (
        "判断错误的实体，得分最高的在前，最后是一些漏掉的实体。"
        "文本中蓝色底色是标注的实体，虚线标出模型找到的实体。"
    ),
    "cause.limits": "类型正确，边界错误",
    "cause.type": "边界正确，类型错误",
    "cause.both": "有重叠，但边界和类型都错误",
    "cause.invented": "本不存在",
    "cause.missed": "遗漏",
    "mistakes.furthest": "{dev}上偏差最大的预测，偏差最大的在前。",
    "mistakes.worst": "{dev}上的错误回答，最严重的在前。",
    "mistakes.none": "{dev}中没有答错的样本。",
    "mistakes.brief": "共 {count} 个错误回答",
    "mistakes.nothing": "无",
    "column.score": "得分",
    "column.error": "偏差",
    "column.text": "文本",
    # ---- suspects
    "suspects.confident_learning": (
        "方法：置信学习（confident learning，Northcutt 等，2021），应用于模型未参与训练的"
        "{dev}中的 {examined} 条样本。若一条文本在另一标签上的得分达到该标签自身文本的平均得分"
        "且超过 0.5，就列为可疑，矛盾最大的在前。模型也可能出错，最终由人判断。"
    ),
    "suspects.below_baseline": (
        "不列出可疑标注：在{dev}的 {examined} 条样本上，模型并不明显优于一律回答最常见的标签，"
        "因此它的怀疑不能说明标注有误。"
    ),
    "suspects.count": "{examined} 条文本中的 {count} 条",
    "suspects.none": "{dev}中没有发现可疑的标注。",
    "column.proposed": "模型建议",
    "column.gold_score": "标注标签得分",
    "column.proposed_score": "建议标签得分",
    # ---- duplicates
    "duplicates.note": (
        "规范化（Unicode NFKC、大小写、标点）之后相同的样本。"
        "这类样本检验的是记忆而不是能力；两边标签不同的排在前面。"
    ),
    "duplicates.brief": "{count} 条样本",
    "duplicates.pair": "{part}中同时出现在{other}里的样本",
    "duplicates.shown": "显示 {count} 条中的 {shown} 条，其中标签不同的共 {differing} 条。",
    "duplicates.none": "验证集和测试集的样本都没有出现在其他数据集中。",
    "column.label_in": "{part}的标签",
    "column.equal": "相同方式",
    "equal.exact": "完全相同",
    "equal.alike": "规范化后相同",
    # ---- speed, size, environment
    "fact.seconds": "总耗时",
    "fact.epochs": "训练轮数",
    "fact.best_epoch": "保留的轮次",
    "fact.steps": "训练步数",
    "fact.examples_per_second": "训练速度（样本/秒）",
    "fact.tokens_per_second": "训练速度（词元/秒，不计填充）",
    "fact.padding_share": "填充所占比例",
    "fact.parameters": "参数量",
    "fact.trainable_parameters": "参与训练的参数量",
    "fact.model_bytes": "模型文件大小",
    "fact.answers_per_second": "验证集上的回答速度（条/秒）",
    "value.seconds": "{seconds} 秒",
    "value.minutes": "{minutes} 分 {seconds} 秒",
    "value.hours": "{hours} 小时 {minutes} 分",
    "value.megabytes": "{megabytes} MB",
    "run.note": "使用相同的数据、设置、随机种子和软件版本运行：",
    "run.settings": "全部设置（config.yaml）",
    "run.hashes": "数据指纹（SHA-256）",
    "run.environment": "运行环境",
    "run.next": "接下来可以运行",
    "fact.system": "系统",
    "fact.devices": "设备",
    "fact.strategy": "分布策略",
    "fact.python": "Python",
    "fact.tensorflow": "TensorFlow",
    "fact.numpy": "NumPy",
    "fact.train_sha256": "训练集",
    "fact.dev_sha256": "验证集",
}
