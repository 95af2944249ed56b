"""Texts of the first sections: summary, data, learning curves, metrics."""

OPENING: dict[str, str | tuple[str, str]] = {
    # ---- small words
    "quoted": "“{text}”",
    "between": "、",
    "interval": "{low} 至 {high}",
    "range": "95% 区间 {low} 至 {high}",
    "dash": "–",
    "listing.more": "{names}，另有 {count} 个",
    "dev": "验证集",
    "test": "测试集",
    "train": "训练集",
    "cut_text": "{text} …（全文共 {characters} 个字符）",
    # ---- the top
    "kicker": "任务 {task}",
    "headline": "用于任务 {task} 的模型：{metric} 为 {value}。",
    "made": "训练报告，{when}",
    "measured.dev": "以上结果在未参与训练的 {count} 条样本上测得。",
    "measured.file": "以上结果在{dev}的 {count} 条样本上测得。",
    "measured.of": "{part}：{source}。",
    "measured.test": "以上结果在 {count} 条测试样本上测得，测试集只在训练结束后使用一次。",
    "trained_on": "训练样本 {count} 条。",
    "tile.interval": "95% 区间 {low}–{high}",
    "tile.baseline": "不用模型时",
    "tile.baseline_note": "一律回答 {answer}",
    "tile.examples": "样本数",
    "tile.examples_note": "训练 {train} 条，评测 {measured} 条",
    "tile.parameters": "模型大小",
    "tile.parameters_note": "{parameters}M 参数",
    "watch": "需要留意的地方",
    "watch.none": "数据和指标中没有发现异常。",
    # ---- what to watch out for
    "watch.leaks": (
        "{part}中有 {count} 条样本也出现在训练集里，指标因此偏高；"
        "去掉它们之后，{figure}为 {without}。"
    ),
    "watch.leaks_bare": "{part}中有 {count} 条样本也出现在训练集里，指标因此偏高。",
    "watch.no_better": "并不比一律回答 {answer} 更好，那样做的正确率就有 {value}。",
    "watch.few": "评测样本只有 {count} 条，偏少：真实水平可能落在区间内的任何位置。",
    "watch.perfect": (
        "所有回答都正确，这很少见：请检查{dev}是否过于简单。"
        "只有 {count} 条样本时，新文本的错误率仍可能高达 {bound}。"
    ),
    "watch.weak": "{labels} 个标签中有 {count} 个较弱，F1 低于 0.5：{names}。",
    "watch.pair": "{gold} 的文本有 {share} 被误判为 {predicted}（{count} 条）。",
    "watch.too_sure": "模型过于自信：平均得分为 {confidence}，而实际正确率为 {accuracy}。",
    "watch.too_unsure": "模型自信不足：平均得分为 {confidence}，而实际正确率为 {accuracy}。",
    "watch.suspects": "{dev}中有 {count} 条样本的标注可能有误，建议人工复核。",
    "watch.slice.length": (
        "长度为 {name} 个词元的文本明显较差：{figure}为 {value}，整体为 {overall}。"
    ),
    "watch.slice.context": (
        "问题加上下文长度为 {name} 个词元时明显较差：{figure}为 {value}，整体为 {overall}。"
    ),
    "watch.slice.characters": (
        "长度为 {name} 个字符的文本明显较差：{figure}为 {value}，整体为 {overall}。"
    ),
    "watch.slice.source": "来源为 {name} 的文本明显较差：{figure}为 {value}，整体为 {overall}。",
    "watch.slice.script": "{name}文本明显较差：{figure}为 {value}，整体为 {overall}。",
    "watch.unknown": "部分词元不在模型词表中，被读作未知词元：{shares}。",
    "watch.uncovered": "模型词表不能覆盖这些文本，大量词元被读作未知词元：{shares}。{remedy}",
    "unknown.part": "{part} {share}（{scripts}）",
    "remedy.more_texts": (
        "请增加训练文本，或用 --model 指定多语言 BERT 的目录或 hub 名称，"
        "例如 google-bert/bert-base-multilingual-cased。"
    ),
    "remedy.tiny": "请改用 --model tiny（词表从这些文本中学得）。",
    "remedy.chinese": (
        "请改用 --model multilingual 或 --model tiny（词表从这些文本中学得），"
        "或用 --model 指定中文或多语言 BERT 的目录或 hub 名称，例如 google-bert/bert-base-chinese。"
    ),
    "remedy.multilingual": (
        "请改用 --model multilingual 或 --model tiny（词表从这些文本中学得），"
        "或用 --model 指定多语言 BERT 的目录或"
        " hub 名称，例如 google-bert/bert-base-multilingual-cased。"
    ),
    "watch.truncated": (
        "{share} 的训练文本超过 {limit} 个词元，超出部分没有被读取；"
        "设置 --max-length {proposed} 可以读取更多。"
    ),
    "watch.cut_off": "{share} 的训练文本超过模型所能读取的 {limit} 个词元，超出部分没有被读取。",
    "watch.contradictions": "{count} 条训练文本带有互相矛盾的标签，例如 {text}：{labels}。",
    "watch.near_labels": "{count} 个标签与另一个标签几乎相同：{names}。",
    "watch.rare": "{count} 个标签在训练集中不足 10 条：{names}。",
    "watch.unseen": "{count} 个标签在验证集中没有样本，其表现未知：{names}。",
    "watch.empty": "{part}中有 {count} 条文本为空。",
    # ---- sections
    "nav": "目录",
    "section.data": "数据",
    "section.curves": "学习曲线",
    "section.figures": "评测指标",
    "section.classes": "各标签表现",
    "section.confusion": "哪些标签被混淆",
    "section.calibration": "得分是否可信",
    "section.abstention": "何时不作回答",
    "section.scatter": "预测值与标注值",
    "section.slices": "分组表现",
    "section.robustness": "文本改动",
    "section.compression": "压缩前后对比",
    "section.mistakes.confident": "最自信的错误",
    "section.mistakes.decisions": "最自信的错误",
    "section.mistakes.answers": "最自信的错误",
    "section.mistakes.entities": "最自信的错误",
    "section.mistakes.furthest": "偏差最大的样本",
    "section.mistakes.worst": "错误示例",
    "section.suspects": "可能有误的标注",
    "section.duplicates": "跨数据集的重复样本",
    "section.cost": "速度与大小",
    "section.run": "如何复现",
    # ---- data
    "column.part": "数据集",
    "column.rows": "样本数",
    "column.source": "来源",
    "fact.columns": "使用的列",
    "fact.labels": "标签数",
    "fact.balance": "均衡程度",
    "fact.balance_value": "最多的标签有 {most} 条，最少的有 {fewest} 条，相差 {ratio} 倍",
    "fact.repeated": "训练集内部重复",
    "fact.repeated_value": "{count} 条文本在前面已出现过",
    "fact.contradictions": "同一文本多个标签",
    "fact.contradictions_value": "{count} 条训练文本",
    "fact.decision": "文件的读取方式",
    "fact.stripped": "标签首尾的空白",
    "fact.stripped_value": "已从 {source} 的 {count} 个标签中去除",
    "fact.near": "几乎相同的标签",
    "fact.near_spelling": (
        "{rare}（共 {rare_count} 条，最先见于第 {rare_rows} 行）与{frequent}"
        "（共 {frequent_count} 条，最先见于第 {frequent_rows} 行）仅大小写、全半角或空格不同"
    ),
    "fact.near_typo": (
        "{rare}（共 {rare_count} 条，最先见于第 {rare_rows} 行）与{frequent}"
        "（共 {frequent_count} 条，最先见于第 {frequent_rows} 行）只差一个字符"
    ),
    "fact.overlap": "{part}与{other}重复",
    "fact.overlap_value": "完全相同 {exact} 条，忽略大小写和标点后相同 {alike} 条",
    "fact.tokens": "文本长度（词元）",
    "fact.tokens_value": "{percent}% 不超过 {tokens}",
    "fact.tokens_longest": "最长 {tokens}",
    "fact.truncated": "截断",
    "fact.truncated_value": "{share} 的训练文本超过 {limit} 个词元的上限",
    "fact.windows": "分段读取",
    "fact.windows_value": "{share} 的训练文本超过 {limit} 个词元，分多段读取，没有截断",
    "fact.unknown": "{part}的未知词元",
    "fact.unknown_value": "{share}（{tokens} 个词元中的 {unknown} 个）",
    "heading.unknown": "各文字的未知词元",
    "column.script": "文字",
    "column.tokens": "词元数",
    "column.unknown": "未知词元数",
    "column.share": "占比",
    "unknown.note": (
        "未知词元不在模型词表中，被读作未知词元；特殊词元和被截断的部分不计入。"
        "一条文本的文字是其多数字母所属的文字。"
    ),
    "heading.checked": "检查结果",
    "heading.label_counts": "各标签的样本数",
    "label.answer": "有答案",
    "label.no answer": "没有答案",
    "column.label": "标签",
    "column.train": "训练集",
    "column.dev": "验证集",
    # ---- curves
    "curves.note": (
        "训练损失是每轮各步的平均值，其余指标均在每轮结束后于验证集上测得。虚线标出最终保留的一轮。"
    ),
    "curves.note_best": (
        "训练损失是每轮各步的平均值，其余指标均在每轮结束后于验证集上测得。"
        "虚线标出最终保留的一轮，即验证集{figure}最好的一轮。"
    ),
    "curves.stopped": (
        "训练在第 {count} 轮提前停止（计划 {planned} 轮），保留第 {best} 轮："
        "最后几轮中，验证集指标没有提高，而验证集损失上升（--early-stopping）。"
    ),
    "curves.complete": "训练在第 {count} 轮结束（计划 {planned} 轮），保留第 {best} 轮。",
    "axis.epoch": "轮次",
    "axis.loss": "损失",
    "axis.figures": "验证集指标",
    "axis.kept": "保留",
    "axis.confidence": "得分",
    "axis.accuracy": "实际正确率",
    "axis.perfect": "理想情况",
    "axis.measured": "实测值及 95% 区间",
    "axis.counts": "回答数",
    "axis.coverage": "作出回答的文本比例",
    "axis.risk": "回答错误的比例",
    "axis.chosen": "选定的阈值",
    "axis.gold": "标注值",
    "axis.predicted": "预测值",
    # ---- figures
    "figures.method": (
        "区间的算法：95% 百分位自助法（bootstrap）。对样本有放回地重新抽取 {replicates} 次"
        "（随机种子 1），给出中间 95% 的取值范围，即换一批同类样本时指标会有多大变动。"
        "它不反映其他类型的文本，也不反映重新训练的偶然差异。"
    ),
    "figures.chosen": (
        "保留哪一轮是依据验证集选择的，因此验证集指标略微偏高；"
        "若要对外承诺，请用测试集（--test）的指标。"
    ),
    "figures.baseline": "作为对照：一律回答最常见的标签 {answer}，{figure}也有 {value}。",
    "column.figure": "指标",
    "column.interval": "95% 区间",
    "column.meaning": "含义",
    "figure.accuracy": "准确率",
    "figure.macro_f1": "宏平均 F1",
    "figure.weighted_f1": "加权 F1",
    "figure.micro_f1": "微平均 F1",
    "figure.exact_match": "完全一致率",
    "figure.precision": "精确率",
    "figure.recall": "召回率",
    "figure.f1": "F1",
    "figure.pearson": "皮尔逊相关系数",
    "figure.spearman": "斯皮尔曼相关系数",
    "figure.mae": "平均绝对误差",
    "figure.rmse": "均方根误差",
    "figure.mrr_at_10": "平均倒数名次（MRR@10）",
    "figure.recall_at_1": "首位命中率（recall@1）",
    "figure.recall_at_5": "前五命中率（recall@5）",
    "figure.ndcg_at_10": "折损累计增益（NDCG@10）",
    "figure.coverage": "作答比例",
    "figure.selective_accuracy": "作答时的准确率",
    "figure.in_scope_accuracy": "范围内准确率",
    "figure.out_of_scope_recall": "范围外识别率",
    "figure.no_answer_accuracy": "无答案问题的准确率",
    "figure.answerable_exact_match": "有答案问题的完全一致率",
    "figure.answerable_f1": "有答案问题的 F1",
    "figure.loss": "损失",
    "figure.examples": "样本数",
    "meaning.accuracy": "预测标签与标注一致的文本所占比例。",
    "meaning.macro_f1": "各标签 F1 的平均值，少见标签与常见标签同等重要。",
    "meaning.weighted_f1": "各标签 F1 的平均值，按出现次数加权。",
    "meaning.micro_f1": "把所有标签的判断合在一起计算的 F1。",
    "meaning.exact_match": "整个回答完全正确的样本所占比例。",
    "meaning.precision": "找出的结果中，位置和类型都正确的比例。",
    "meaning.recall": "实际存在的结果中，位置和类型都被正确找到的比例。",
    "meaning.f1": "精确率与召回率的调和平均。",
    "meaning.no_answer_accuracy": "没有答案的问题中，模型同样不作回答的比例。",
    "meaning.answerable_exact_match": "只看有答案的问题时的完全一致率。",
    "meaning.answerable_f1": "只看有答案的问题时的重合度。",
    "meaning.coverage": "得分足够高、可以作答的文本所占比例。",
    "meaning.selective_accuracy": "作出的回答中正确的比例。",
    "meaning.in_scope_accuracy": "有合适标签的文本中，得到该标签的比例。",
    "meaning.out_of_scope_recall": "没有合适标签的文本中，未作答或被识别为范围外的比例。",
    "meaning.pearson": "标注值与预测值的线性相关程度，1 为最好。",
    "meaning.spearman": "标注值的排序被保持的程度，1 为最好。",
    "meaning.mae": "预测值平均相差多少。",
    "meaning.rmse": "预测值相差多少，较大的误差权重更高。",
    "meaning.loss": "训练所最小化的量，越低越好，0 为最好。",
    "meaning.examples": "计算这些指标所用的样本数。",
}
